// Schemas for control/ and the CLI: makes compare's DescriptorStore without their knowing it.
#pragma once

#include "facade/control/policy_loader.h"

namespace ficus {

// Any thread.
CatalogMaker descriptor_catalog_maker();
// Today's date, UTC, by the system's clock.
Date today_utc();

}  // namespace ficus
