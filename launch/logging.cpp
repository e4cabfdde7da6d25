#include "launch/logging.h"

#include <array>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "core/base/error.h"

namespace lockstep {

struct Log::Impl {
  explicit Impl(Options given) : options(std::move(given)), logger("lockstep") {
    logger.set_level(spdlog::level::info);
    logger.flush_on(spdlog::level::info);
    // What a full disk says must not end the run; the metrics say it too.
    logger.set_error_handler([](const std::string&) {});
    if (options.file.empty()) return;
    try {
      logger.sinks().push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file));
    } catch (const spdlog::spdlog_ex& error) {
      fail(ErrorKind::io, "\"{}\": cannot open the log: {}", options.file, error.what());
    }
    const std::string pattern = fmt::format("%Y-%m-%dT%H:%M:%S.%eZ %l [{}:{}] %v", host_name(), options.rank);
    logger.set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
  }

  Options options;
  spdlog::logger logger;
};

Log::Log(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Log::~Log() = default;
Log::Log(Log&&) noexcept = default;
Log& Log::operator=(Log&&) noexcept = default;

void Log::info(std::string_view text) { impl_->logger.info(text); }

void Log::warn(std::string_view text) {
  impl_->logger.warn(text);
  if (impl_->options.warn) impl_->options.warn(text);
}

void Log::error(std::string_view text) { impl_->logger.error(text); }

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

}  // namespace lockstep
