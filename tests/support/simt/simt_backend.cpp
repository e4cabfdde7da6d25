#include <cstring>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/register.h"
#include "tests/support/cuda_backend.h"
#include "tests/support/simt/fake_runtime.h"

namespace lockstep::test {

namespace {

using cuda::check;

/// A plain device over the fake runtime, for kernels alone.
class PlainDevice : public Device {
 public:
  PlainDevice() { check(cudaStreamCreateWithFlags(&main_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }
  bool is_host() const override { return false; }
  void* allocate(std::size_t bytes, std::string_view) override {
    void* memory = nullptr;
    check(cudaMalloc(&memory, bytes), "cudaMalloc");
    check(cudaMemset(memory, 0, bytes), "cudaMemset");
    return memory;
  }
  void release(void* memory) noexcept override { cudaFree(memory); }
  void* allocate_staging(std::size_t bytes) override {
    void* memory = nullptr;
    check(cudaMallocHost(&memory, bytes), "cudaMallocHost");
    std::memset(memory, 0, bytes);
    return memory;
  }
  void release_staging(void* memory) noexcept override { cudaFreeHost(memory); }
  StreamView stream(int) override { return {main_}; }
  void copy(void* to, const void* from, std::size_t bytes, StreamView stream) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, cuda::native(stream)), "cudaMemcpyAsync");
  }
  void zero(void* at, std::size_t bytes, StreamView stream) override {
    check(cudaMemsetAsync(at, 0, bytes, cuda::native(stream)), "cudaMemsetAsync");
  }
  void order(StreamView, StreamView) override {}
  void wait(StreamView stream) override { check(cudaStreamSynchronize(cuda::native(stream)), "cudaStreamSynchronize"); }
  void call_host(std::function<void()> work) override {
    wait(stream(Queue::kMain));
    work();
  }
  std::unique_ptr<Recording> record(const std::function<void()>&) override { return nullptr; }
  void watch(std::function<void()>) override {}

 private:
  cudaStream_t main_ = nullptr;
};

class PlainBackend : public Backend {
 public:
  std::string name() const override { return "cuda"; }
  std::string describe() const override { return "cuda kernels on the host"; }
  std::vector<Precision> precisions() const override { return {Precision::bf16, Precision::f16, Precision::tf32, Precision::f32}; }
  Device& device() override { return device_; }
  WorkOrder order() const override { return WorkOrder::by_instruction; }
  std::unique_ptr<Kernel> make(const OpSpec& spec) const override {
    const auto it = cuda::kernels().find(spec.op);
    if (it == cuda::kernels().end()) fail(ErrorKind::run_file, "{}: no cuda kernel in this build", spec.op);
    return it->second(spec);
  }
  int workers() const override { return 1; }
  void parallel(int tasks, const std::function<void(int, int)>& body) override {
    for (int task = 0; task < tasks; ++task) body(task, 0);
  }

 private:
  PlainDevice device_;
};

}  // namespace

std::string no_cuda_backend() { return ""; }

Backend& cuda_backend() {
  static auto* const one = new PlainBackend;
  return *one;
}

}  // namespace lockstep::test
