#pragma once

#include <string>

#include "core/tensor/tensor.h"

namespace lockstep {

/// Reads an IDX file (LeCun's MNIST page: 00 00 type rank, extents u32 big endian, values big endian in C order), plain
/// or gzipped. u8, f32 and f64 stay, i8, i16 and i32 become i32. `io` error where it is not there, `content` error where
/// it is no whole IDX file.
Tensor read_idx(const std::string& path);

/// Integers as i64, for labels; `content` error for floats.
Tensor to_labels(const Tensor& values, const std::string& path);

/// [n, h, w] as [n, h, w, 1]; others as they are. `content` error for a list.
Tensor to_images(Tensor values, const std::string& path);

}  // namespace lockstep
