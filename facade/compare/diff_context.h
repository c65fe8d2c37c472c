// What all parts of one comparison share. Borrows everything. One comparison, one thread.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include <google/protobuf/message.h>

#include "facade/compare/descriptor_store.h"
#include "facade/compare/path_cursor.h"
#include "facade/compare/path_rules.h"
#include "facade/compare/response_diff.h"
#include "facade/compare/work_budget.h"

namespace ficus {

struct DiffContext {
  const PathRules& rules;
  const DescriptorStore& store;
  const CompareLimits& limits;
  WorkBudget& budget;
};

// A google.protobuf.Any taken apart. `payload` is set where the schema has the type and the bytes are of it; a payload
// nested deeper than the limit stops the budget. Its fields' paths go on from the Any's own, as in protobuf's JSON
// mapping: `details.amount`, not `details.value.amount`.
struct OpenedAny {
  std::string url;
  std::string type_name;  // what follows the URL's last slash
  std::unique_ptr<google::protobuf::Message> payload;
};
// Absent where the message is no Any, or an Any that was never set.
std::optional<OpenedAny> open_any(const google::protobuf::Message& message, int depth, const DiffContext& context);

// How a list is matched by a field of its entries; both null where no rule says so, or the entries have no such field.
struct KeyedList {
  const KeyedRule* rule = nullptr;
  const google::protobuf::FieldDescriptor* by = nullptr;
};
// The cursor stands at the list.
KeyedList keyed_list(const google::protobuf::FieldDescriptor* list, const PathCursor& cursor,
                     const DiffContext& context);
// Whether `keyed` or `unordered` says so.
bool order_means_nothing(const google::protobuf::FieldDescriptor* list, const PathCursor& cursor,
                         const DiffContext& context);

}  // namespace ficus
