#pragma once

#include <optional>
#include <span>

#include "io/dataset.h"
#include "io/hdf5.h"

namespace lockstep {

/// Mean and population standard deviation per channel over all samples, in double and in one fixed order; exact for
/// u8. A constant channel gets deviation 1.
Scaler measure(const DatasetField& field);

/// What the run file alone gives: for `unit` and `given`, and nothing scaled for `none`. Empty for `standardize`. `run_file` error
/// where there are numbers for another count of channels.
std::optional<Scaler> fixed_scaler(const DatasetField& field);

/// The attributes "mean" and "std" of the dataset, else of its group; nothing where neither has them. `content` error
/// where their length is not that of the channels or a deviation is not positive.
std::optional<Scaler> stored_scaler(const Hdf5Group& group, const Hdf5Dataset& dataset, std::int64_t channels);

}  // namespace lockstep
