#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/model/snapshot.h"
#include "core/tensor/tensor.h"

namespace lockstep {

/// The safetensors format (huggingface/safetensors, README and tensor.rs): u64 little-endian header length, a JSON
/// header, the tensors' bytes. What PyTorch, JAX and others load without our code.
struct NamedTensor {
  std::string name;
  ConstTensorView value;
};

/// Commits a file; tensors lie in the official writer's order (wider dtypes first, then by name), the header is padded
/// with spaces to a multiple of 8 bytes. `io` errors; two tensors of one name are `internal`.
void write_safetensors(const std::string& path, std::span<const NamedTensor> tensors, const std::map<std::string, std::string>& metadata);

/// The weights and run-scope states of a copied state ("parameters/head.weight" is "head.weight"): views into
/// `state`, under the names that PyTorch users expect.
std::vector<NamedTensor> export_names(const Snapshot& state);

struct SafeTensors {
  struct Entry {
    std::string name;
    Tensor value;
  };
  std::map<std::string, std::string> metadata;
  std::vector<Entry> tensors;  ///< in the order of their bytes
};

/// Strict: a header of at most 100,000,000 bytes, known dtypes, ranks up to 8, no duplicates, no holes, no overlaps, no
/// bytes left over. Everything else is a `content` error that names file and tensor.
SafeTensors read_safetensors(const std::string& path);

}  // namespace lockstep
