// A folder of its own, a clock that stands, and traces in a few words.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "facade/findings/finding_store.h"

namespace ficus {

using ficus::trace::v1::Difference;
using ficus::trace::v1::MismatchTrace;

inline constexpr const char* kMethod = "insurance.policy.v1.PolicyService/GetPolicy";

class FindingFixture : public testing::Test {
 protected:
  FindingFixture() {
    std::string name = testing::TempDir() + "/ficus-findings-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    options_.directory = folder_ + "/state";
    options_.commit_every = std::chrono::hours(1);  // tests say when
  }
  ~FindingFixture() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<FindingStore> open() {
    return std::make_unique<FindingStore>(options_, metrics_, [this] { return now_.load(); });
  }
  std::string file() const { return options_.directory + "/findings.db"; }
  std::string bytes_of(const std::string& path) const {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }
  void write(const std::string& path, const std::string& bytes) const {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }
  void tick(std::chrono::milliseconds by) { now_ = now_.load() + by; }
  // The value of a series as /metrics shows it; "" where it is not there.
  std::string metric(const std::string& series) {
    const std::string all = metrics_.expose();
    const std::size_t at = all.find('\n' + series + ' ');
    if (at == std::string::npos) return "";
    const std::size_t value = at + series.size() + 2;
    return all.substr(value, all.find('\n', value) - value);
  }

  // A mismatch of one difference at `path`, now.
  MismatchTrace trace(const std::string& path, const std::string& tenant = "acme",
                      MismatchTrace::Severity severity = MismatchTrace::MAJOR) const {
    MismatchTrace out;
    out.set_capability("inquiry");
    out.set_method(kMethod);
    out.set_tenant(tenant);
    out.set_consumer("portal");
    out.set_policy_hash("hash-1");
    out.set_trace_id(path + '/' + tenant);
    out.set_verdict(MismatchTrace::MISMATCH);
    out.set_severity(severity);
    const auto ms = now_.load().time_since_epoch().count();
    out.mutable_time()->set_seconds(ms / 1000);
    out.mutable_time()->set_nanos(static_cast<int>(ms % 1000) * 1'000'000);
    auto& difference = *out.add_differences();
    difference.set_path(path);
    difference.set_kind(Difference::VALUE);
    difference.set_severity(severity);
    difference.set_legacy("string:3:0011223344556677");
    return out;
  }
  static std::string id_at(const std::string& path, MismatchTrace::Severity severity = MismatchTrace::MAJOR) {
    return to_string(id_of({"inquiry", kMethod, path, Difference::VALUE, severity}));
  }
  static std::vector<std::string> paths(const StoreResult<FindingPage>& page) {
    if (!page) return {"error: " + page.error().text};
    std::vector<std::string> out;
    for (const Finding& finding : page->findings) out.push_back(finding.signature.path);
    return out;
  }

  std::string folder_;
  FindingStoreOptions options_;
  Metrics metrics_;
  std::atomic<FindingTime> now_{FindingTime(std::chrono::seconds(1'800'000'000))};
};

}  // namespace ficus
