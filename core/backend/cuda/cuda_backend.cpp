#include "core/backend/cuda/cuda_backend.h"

#include <cuda_runtime_api.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/find_device.h"
#include "core/backend/cuda/register.h"
#include "core/backend/cuda/vendor_options.h"
#include "core/base/registry.h"

namespace lockstep::cuda {
namespace {

/// bf16 is in the tensor cores, and asynchronous copies in the kernels, from here on.
constexpr int kOldestMajor = 8;

cudaDeviceProp properties_of(int index) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
  return properties;
}

std::string describe_device(int index) {
  const cudaDeviceProp properties = properties_of(index);
  if (properties.major < kOldestMajor)
    fail(ErrorKind::usage, "no cuda device: {} is too old: expected sm_80 or newer, got sm_{}{}", properties.name, properties.major, properties.minor);
  int driver = 0;
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  std::string text = fmt::format("cuda {} sm_{}{}, driver {}.{}", properties.name, properties.major, properties.minor, driver / 1000, driver % 1000 / 10);
  for (const auto& [library, version] : vendor_versions()) text += fmt::format(", {} {}", library, version());
  return text;
}

/// Of the running system, and so of all containers on it; its name where the kernel has none.
std::string host_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  if (std::getline(file, id)) return id;
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::string uuid_text(const cudaUUID_t& uuid) {
  std::string text = "GPU-";
  for (std::size_t i = 0; i < sizeof uuid.bytes; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(uuid.bytes[i]));
  }
  return text;
}

}  // namespace

CudaBackend::CudaBackend(int index) : device_(index), description_(describe_device(index)) {}

std::optional<DeviceIdentity> CudaBackend::identity() const {
  const cudaDeviceProp properties = properties_of(device_.index());
  std::array<char, 32> bus{};
  check(cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), device_.index()), "cudaDeviceGetPCIBusId");
  return DeviceIdentity{.name = properties.name, .uuid = uuid_text(properties.uuid), .bus = bus.data(), .host = host_id()};
}

std::vector<Precision> CudaBackend::precisions() const { return {Precision::bf16, Precision::f16, Precision::tf32, Precision::f32}; }

std::unique_ptr<Kernel> CudaBackend::make(const OpSpec& spec) const { return make_kernel(spec); }

KernelChoices* CudaBackend::choices() const { return vendor_choices() ? vendor_choices()() : nullptr; }

void CudaBackend::parallel(int tasks, const std::function<void(int task, int worker)>& body) {
  for (int task = 0; task < tasks; ++task) body(task, 0);
}

namespace {

std::unique_ptr<Backend> make_backend(Options& options) {
  options.expect_true("cuda");
  const Environment environment = [](const char* name) -> const char* { return std::getenv(name); };
  const int visible = count_devices(environment);
  const int given = static_cast<int>(options.integer("device", -1, {.least = -1, .most = 1023}));
  if (given >= visible) fail(ErrorKind::usage, "no cuda device: number {} is not there: this process sees {}", given, visible);
  VendorOptions& vendor = vendor_options();
  vendor.plans = options.text("plans", "");
  vendor.carried = options.text("carried", "");
  vendor.tune = options.boolean("tune", false);
  return std::make_unique<CudaBackend>(given >= 0 ? given : choose_device(visible, environment));
}

const Register<Backend> registered{{.name = "cuda", .summary = "one NVIDIA GPU a rank", .make = make_backend}};

}  // namespace

}  // namespace lockstep::cuda
