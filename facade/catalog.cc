#include "facade/catalog.h"

#include "facade/compare/descriptor_store.h"

namespace ficus {

CatalogMaker descriptor_catalog_maker() {
  return [](const std::vector<NamedSchema>& schemas)
             -> Result<std::shared_ptr<const MethodCatalog>, std::vector<std::pair<std::string, std::string>>> {
    std::vector<SchemaFile> files;
    for (const NamedSchema& schema : schemas) files.push_back({schema.name, schema.bytes});
    auto store = DescriptorStore::open(files);
    if (store) return *store;
    std::vector<std::pair<std::string, std::string>> errors;
    for (const SchemaError& error : store.error()) errors.emplace_back(error.name, error.message);
    return fail(errors);
  };
}

Date today_utc() { return std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()); }

}  // namespace ficus
