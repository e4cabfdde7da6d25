#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"

namespace lockstep {

struct TensorSpec {
  Shape shape;
  Dtype dtype = Dtype::f32;

  std::int64_t elements() const { return shape.elements(); }
  std::size_t bytes() const { return static_cast<std::size_t>(shape.elements()) * size_of(dtype); }
  std::string text() const { return shape.text() + " " + std::string(name_of(dtype)); }
  bool operator==(const TensorSpec&) const = default;
};

/// A dense row-major range of memory that somebody else owns. Passed by value.
struct TensorView {
  void* data = nullptr;
  TensorSpec spec;

  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

struct ConstTensorView {
  const void* data = nullptr;
  TensorSpec spec;

  ConstTensorView() = default;
  ConstTensorView(const void* memory, TensorSpec what) : data(memory), spec(what) {}
  ConstTensorView(TensorView view) : data(view.data), spec(view.spec) {}  // NOLINT: a view may always be narrowed

  template <class T>
  const T* as() const {
    return static_cast<const T*>(data);
  }
};

/// Host memory aligned to 64 bytes (2 MiB and huge pages asked for from 4 MiB on), zeroed. Move-only.
class HostBuffer {
 public:
  HostBuffer() = default;
  explicit HostBuffer(std::size_t bytes);

  std::byte* data() const { return memory_.get(); }
  std::size_t bytes() const { return bytes_; }
  /// Hands the memory to the caller, who frees it by std::free.
  std::byte* give_up() { return memory_.release(); }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t bytes_ = 0;
};

/// An owner of a dense tensor in host memory.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(TensorSpec spec) : spec_(spec), buffer_(spec.bytes()) {}

  const TensorSpec& spec() const { return spec_; }
  TensorView view() { return {buffer_.data(), spec_}; }
  ConstTensorView view() const { return {buffer_.data(), spec_}; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(buffer_.data());
  }

 private:
  TensorSpec spec_;
  HostBuffer buffer_;
};

}  // namespace lockstep
