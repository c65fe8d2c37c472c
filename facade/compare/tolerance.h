// How far apart two values are, and whether that is near enough. Pure; any thread.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "facade/compare/path_cursor.h"
#include "facade/compare/path_rules.h"

namespace ficus {

// The tolerance by which two numbers are alike; null: none, or the field is no number. Distances of integers are exact
// over the whole range of their type. An infinity or a NaN is near nothing. What rounding in the field's own type adds
// to a distance does not count: 1.10 and 1.11 are 0.01 apart.
const PathRule* tolerated_numbers(const google::protobuf::Message& a, int index_a, const google::protobuf::Message& b,
                                  int index_b, const google::protobuf::FieldDescriptor* field, const PathCursor& cursor,
                                  const PathRules& rules);

// The same of two Timestamps or two Durations, whatever their seconds and nanos say.
const PathRule* tolerated_times(const google::protobuf::Message& a, const google::protobuf::Message& b,
                                const PathCursor& cursor, const PathRules& rules);
bool times_equal(const google::protobuf::Message& a, const google::protobuf::Message& b);

// Where a value lies among others, for sorting: near values lie near each other. A NaN lies at the end.
double place_of_number(const google::protobuf::Message& message, int index,
                       const google::protobuf::FieldDescriptor* field);
double place_of_time(const google::protobuf::Message& message);

}  // namespace ficus
