// Tests of the relay run twice: straight to the upstream, which proves the test itself, and through ficus, which must
// make no difference.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/support/client_call.h"
#include "tests/support/ficus_process.h"
#include "tests/support/policies.h"
#include "tests/support/scripted_upstream.h"

namespace ficus::e2e {

// Memory bounds mean nothing under a sanitizer's shadow and quarantine.
#if defined(FICUS_SANITIZED)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

inline constexpr const char* kPath = "/inventory.v1.Inventory/Do";

inline std::unique_ptr<FicusProcess> start_ficus(const std::string& policy, FicusOptions options = {}) {
  options.policy = policy;
  return std::make_unique<FicusProcess>(std::move(options));
}

enum class Via { kDirect, kFicus };

class ThroughFicus : public ::testing::TestWithParam<Via> {
 protected:
  bool through() const { return GetParam() == Via::kFicus; }
  // Where a client calls so that its calls reach `upstream`.
  std::string reach(const std::string& upstream, FicusOptions options = {}) {
    if (!through()) return upstream;
    ficus_ = start_ficus(pass_through_policy(upstream), std::move(options));
    return ficus_->address();
  }
  std::unique_ptr<FicusProcess> ficus_;
};

#define FICUS_DIRECT_AND_THROUGH(suite)                                                    \
  INSTANTIATE_TEST_SUITE_P(Via, suite, ::testing::Values(Via::kDirect, Via::kFicus),       \
                           [](const ::testing::TestParamInfo<Via>& param_info) {           \
                             return param_info.param == Via::kDirect ? "Direct" : "Ficus"; \
                           })

}  // namespace ficus::e2e
