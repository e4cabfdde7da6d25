// factor = 1
#include "core/train/schedule.h"

namespace lockstep {
namespace {

class Constant : public Schedule {
 public:
  double factor(const Progress&) const override { return 1.0; }
  bool depends_on_length() const override { return false; }
};

const Register<Schedule> registered{
    {.name = "constant", .summary = "the peak rate throughout", .make = [](Options& options) -> std::unique_ptr<Schedule> {
       options.expect_true("constant");
       return std::make_unique<Constant>();
     }}};

}  // namespace
}  // namespace lockstep
