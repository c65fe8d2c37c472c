#include "deploy/demo/book.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <iterator>

namespace insurer {
namespace {

constexpr std::size_t kFirstNumber = 1'000'000;

// Where in each thousand the policies stand that the migration gets wrong; disjoint, and spread over the last digits,
// by which the traffic deals policies out to tenants.
constexpr std::array<std::size_t, 5> kReinstated = {37, 212, 458, 664, 891};
constexpr std::array<std::size_t, 4> kBackdated = {105, 346, 573, 780};
constexpr std::array<std::size_t, 4> kHalfCents = {19, 281, 527, 943};

template <std::size_t N>
bool holds(const std::array<std::size_t, N>& places, std::size_t index) {
  return std::find(places.begin(), places.end(), index % 1000) != places.end();
}

// SplitMix64. Not <random>'s distributions: their results differ between standard libraries.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // 0 .. bound-1; the bias of the modulus is far below what a demo could show.
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }
  template <class Array>
  const auto& pick(const Array& from) {
    return from[below(std::size(from))];
  }

 private:
  std::uint64_t state_;
};

constexpr const char* kGiven[] = {"Ada", "Bruno", "Chiara", "Dilan", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas"};
constexpr const char* kFamily[] = {"Albers", "Brandt", "Conti", "Demir", "Eriksen", "Fischer", "Garcia", "Haas", "Ivanov", "Jansen"};
constexpr const char* kStreets[] = {"Am Markt", "Canal Street", "Elm Road", "Hafenweg", "Rue des Lilas", "Via Roma"};
constexpr const char* kCities[][3] = {{"Hamburg", "20095", "DE"}, {"Lyon", "69002", "FR"}, {"Milano", "20121", "IT"}, {"Utrecht", "3511", "NL"}};
constexpr const char* kProducts[] = {"personal-auto", "home", "travel"};
constexpr const char* kEndorsed[][2] = {{"driver", "second driver added"}, {"vehicle", "replacement vehicle"}, {"cover", "glass cover added"}, {"deductible", "deductible lowered"}};

// Days of a fixed calendar: months of 28 days are enough for a demo, and every date is valid.
std::string date(std::size_t days_since_2021) {
  char text[sizeof "2021-01-01"];
  std::snprintf(text, sizeof text, "%04u-%02u-%02u", static_cast<unsigned>(2021 + days_since_2021 / 336) % 10'000,
                static_cast<unsigned>(1 + days_since_2021 / 28 % 12), static_cast<unsigned>(1 + days_since_2021 % 28));
  return text;
}

std::int64_t round_half_up(std::int64_t thousandths) { return (thousandths + 5) / 10; }

std::int64_t round_half_even(std::int64_t thousandths) {
  const std::int64_t down = thousandths / 10;
  const std::int64_t rest = thousandths % 10;
  return rest > 5 || (rest == 5 && down % 2 != 0) ? down + 1 : down;
}

pb::Address make_address(Random& random) {
  pb::Address address;
  const auto& city = random.pick(kCities);
  address.set_street(std::string(random.pick(kStreets)) + " " + std::to_string(1 + random.below(180)));
  address.set_city(city[0]);
  address.set_postal_code(city[1]);
  address.set_country(city[2]);
  return address;
}

}  // namespace

std::string_view to_string(Side side) { return side == Side::kLegacy ? "legacy" : "new"; }

std::optional<Side> parse_side(std::string_view text) {
  if (text == "legacy") return Side::kLegacy;
  if (text == "new") return Side::kNew;
  return std::nullopt;
}

std::string policy_number(std::size_t index) { return "P-" + std::to_string(kFirstNumber + index); }

std::optional<std::size_t> policy_index(std::string_view number) {
  if (number.substr(0, 2) != "P-") return std::nullopt;
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(number.data() + 2, number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size() || value < kFirstNumber) return std::nullopt;
  return value - kFirstNumber;
}

Record make_record(std::uint64_t seed, std::size_t index) {
  Random random(seed + index * 0x632be59bd9b4e019);
  Record record;
  pb::Policy& policy = record.issued;
  policy.set_policy_number(policy_number(index));
  const std::string given = random.pick(kGiven);
  const std::string family = random.pick(kFamily);
  policy.mutable_holder()->set_full_name(given + " " + family);
  policy.mutable_holder()->set_email(given + "." + family + std::to_string(index) + "@example.com");
  *policy.mutable_holder()->mutable_address() = make_address(random);
  policy.set_product(random.pick(kProducts));
  std::size_t day = random.below(300);
  policy.set_effective_on(date(day));
  policy.set_expires_on(date(day + 1680));
  policy.set_notes("Taken over from branch " + std::to_string(100 + random.below(40)) + ".");
  (*policy.mutable_labels())["channel"] = random.below(3) == 0 ? "broker" : "direct";
  (*policy.mutable_labels())["branch"] = std::to_string(100 + random.below(40));

  // 120.000 to 1,319.999 of the currency. Exactly half a minor unit above an even one is what the two ways of rounding
  // disagree on, so only the chosen policies get it.
  const auto units = static_cast<std::int64_t>(12'000 + random.below(120'000));
  const std::int64_t tenths = static_cast<std::int64_t>(random.below(9));
  record.premium_thousandths = holds(kHalfCents, index) ? units / 2 * 2 * 10 + 5 : units * 10 + (tenths < 5 ? tenths : tenths + 1);

  record.events.push_back({"issued", date(day), date(day), std::nullopt, std::nullopt});
  // At least two, so that their order always differs between the sides.
  const std::size_t endorsements = 2 + random.below(3);
  for (std::size_t i = 0; i < endorsements; ++i) {
    day += 20 + random.below(60);
    const auto& kind = random.pick(kEndorsed);
    pb::Endorsement endorsement;
    endorsement.set_endorsement_id("E-" + std::to_string(index) + "-" + std::to_string(i + 1));
    endorsement.set_kind(kind[0]);
    endorsement.set_effective_on(date(day));
    endorsement.set_text(kind[1]);
    record.events.push_back({"endorsed", date(day), date(day), endorsement, std::nullopt});
  }

  const bool reinstated = holds(kReinstated, index);
  const bool backdated = holds(kBackdated, index);
  const std::size_t fate = random.below(100);
  day += 30 + random.below(60);
  if (reinstated || (!backdated && fate < 4)) {
    record.events.push_back({"lapsed", date(day), date(day), std::nullopt, std::nullopt});
    if (reinstated) record.events.push_back({"reinstated", date(day + 18), date(day + 18), std::nullopt, std::nullopt});
  } else if (backdated || fate < 10) {
    record.events.push_back({"cancelled", date(day), date(backdated ? day - 25 : day), std::nullopt, std::nullopt});
  }
  return record;
}

pb::Policy derive_policy(const Record& record, std::size_t events, Side side) {
  const bool legacy = side == Side::kLegacy;
  pb::Policy policy = record.issued;
  policy.mutable_premium()->set_currency("EUR");
  policy.mutable_premium()->set_amount(legacy ? round_half_up(record.premium_thousandths) : round_half_even(record.premium_thousandths));
  policy.set_status(pb::POLICY_STATUS_IN_FORCE);
  const std::size_t end = std::min(events, record.events.size());
  policy.set_version(end);
  for (std::size_t i = 0; i < end; ++i) {
    const Event& event = record.events[i];
    if (event.kind == "lapsed") {
      policy.set_status(pb::POLICY_STATUS_LAPSED);
    } else if (event.kind == "reinstated") {
      if (legacy) policy.set_status(pb::POLICY_STATUS_REINSTATED);
    } else if (event.kind == "cancelled") {
      policy.set_status(pb::POLICY_STATUS_CANCELLED);
      pb::Cancellation& cancellation = *policy.mutable_cancellation();
      cancellation.set_processed_on(event.on);
      cancellation.set_effective_on(legacy ? event.effective_on : event.on);
      cancellation.set_reason("at the holder's request");
    }
    if (event.endorsement) *policy.add_endorsements() = *event.endorsement;
    if (event.moved_to) *policy.mutable_holder()->mutable_address() = *event.moved_to;
  }
  if (!legacy) std::reverse(policy.mutable_endorsements()->pointer_begin(), policy.mutable_endorsements()->pointer_end());
  return policy;
}

}  // namespace insurer
