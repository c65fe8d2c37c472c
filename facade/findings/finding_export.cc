#include "facade/findings/finding_export.h"

#include <cstdio>
#include <ctime>

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

namespace ficus {
namespace {

using google::protobuf::ListValue;
using google::protobuf::Struct;
using google::protobuf::util::JsonStringToMessage;
using google::protobuf::util::MessageToJsonString;

void put(Struct& object, const char* key, std::string_view text) {
  (*object.mutable_fields())[key].set_string_value(std::string(text));
}
void put(Struct& object, const char* key, double number) { (*object.mutable_fields())[key].set_number_value(number); }
void put(Struct& object, const char* key, std::uint64_t number) { put(object, key, static_cast<double>(number)); }

void put(Struct& object, const char* key, const TouchedList& list) {
  ListValue& out = *(*object.mutable_fields())[key].mutable_list_value();
  for (const Touched& touched : list.names) {
    Struct& one = *out.add_values()->mutable_struct_value();
    put(one, "name", touched.name);
    put(one, "count", touched.count);
    put(one, "lastSeen", to_rfc3339(touched.last_seen));
  }
  if (list.other > 0) put(object, (std::string(key) + "Other").c_str(), list.other);
}

}  // namespace

std::string to_rfc3339(FindingTime time) {
  using std::chrono::floor;
  const auto second = floor<std::chrono::seconds>(time);
  const std::time_t unix_time = second.time_since_epoch().count();
  std::tm parts{};
  if (::gmtime_r(&unix_time, &parts) == nullptr) return {};
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1,
                parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, static_cast<int>((time - second).count()));
  return text;
}

std::string to_json(const FindingDetail& detail) {
  const Finding& finding = detail.finding;
  Struct object;
  put(object, "id", to_string(finding.id));
  put(object, "capability", finding.signature.capability);
  put(object, "method", finding.signature.method);
  put(object, "path", finding.signature.path);
  put(object, "kind", word_of(finding.signature.kind));
  put(object, "severity", word_of(finding.signature.severity));
  put(object, "state", to_string(finding.state));
  put(object, "stateSince", to_rfc3339(finding.state_since));
  put(object, "firstSeen", to_rfc3339(finding.first_seen));
  put(object, "lastSeen", to_rfc3339(finding.last_seen));
  put(object, "count", finding.count);
  put(object, "comparisons", finding.comparisons);
  if (finding.rate) {
    Struct& rate = *(*object.mutable_fields())["rate"].mutable_struct_value();
    put(rate, "estimate", finding.rate->estimate);
    put(rate, "low", finding.rate->low);
    put(rate, "high", finding.rate->high);
  }
  if (finding.acknowledgement) {
    Struct& ack = *(*object.mutable_fields())["acknowledgement"].mutable_struct_value();
    put(ack, "by", finding.acknowledgement->by);
    put(ack, "why", finding.acknowledgement->why);
    put(ack, "at", to_rfc3339(finding.acknowledgement->at));
    if (finding.acknowledgement->until) put(ack, "until", to_rfc3339(*finding.acknowledgement->until));
  }
  put(object, "tenants", detail.tenants);
  put(object, "consumers", detail.consumers);
  put(object, "policies", detail.policies);
  ListValue& examples = *(*object.mutable_fields())["examples"].mutable_list_value();
  for (const auto& trace : detail.examples) {
    std::string json;
    Struct one;
    if (MessageToJsonString(trace, &json).ok() && JsonStringToMessage(json, &one).ok()) {
      *examples.add_values()->mutable_struct_value() = std::move(one);
    }
  }
  std::string line;
  if (!MessageToJsonString(object, &line).ok()) return {};
  return line;
}

}  // namespace ficus
