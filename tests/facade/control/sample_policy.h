// A small whole policy for the tests of facade/control, and schemas that need no protobuf.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "facade/control/policy_loader.h"

namespace ficus::testing {

// Names the schema "service.pb" (whose bytes are "schema" for fake_catalog_maker()) and the secret "new.key". Tenant
// acme is live on the new side, eu-* is shadowed, everyone else is off.
std::string sample_policy();
// The same with one text replaced; aborts the test program if it is not there.
std::string sample_policy_with(std::string_view text, std::string_view by);
std::string replaced(std::string text, std::string_view what, std::string_view by);

// The policy as `directory`/policy.yaml with the files it names beside it; gives its path.
std::string write_sample(const std::string& directory, const std::string& policy = sample_policy());

// Takes schemas whose bytes are "schema" and knows the methods of a.B and of insurance.policy.v1.PolicyService; says of
// any other bytes that they are no schema.
CatalogMaker fake_catalog_maker();

LoadOptions sample_load_options();

}  // namespace ficus::testing
