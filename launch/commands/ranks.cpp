#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ostream>
#include <vector>

#include <fmt/format.h>

#include "distributed/mpi_plug_in.h"
#include "distributed/rank_list.h"
#include "distributed/start_up.h"
#include "distributed/world.h"
#include "launch/command.h"
#include "launch/version.h"

namespace lockstep {
namespace {

constexpr const char* kHelp = R"(Examples:
  mpirun -np 4 lockstep ranks
  srun --mpi=pmix -n 4 lockstep ranks

Starts ranks as a training would, lets them meet and says who is where, over which MPI, and how long a sum over 4 MiB takes.
Needs no data and no run file: the first thing to try on a new machine.
)";

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 && name[0] ? name : "a host without a name";
}

/// Milliseconds of the fastest of five sums. Collective.
double time_of_sum(Communicator& ranks) {
  std::vector<float> data(std::size_t{1} << 20);
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    std::fill(data.begin(), data.end(), static_cast<float>(ranks.rank() + 1));
    ranks.barrier();
    const auto start = std::chrono::steady_clock::now();
    ranks.all_reduce_sum(data.data(), static_cast<std::int64_t>(data.size()));
    const double took = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    if (round == 0 || took < best) best = took;
    const auto expected = static_cast<float>(ranks.size() * (ranks.size() + 1) / 2);
    for (float value : data) require(value == expected, "ranks: a sum over the ranks: expected {}, got {}", expected, value);
  }
  return best;
}

int run(const Arguments& arguments, CommandContext& context) {
  if (!arguments.positional().empty()) fail(ErrorKind::usage, "ranks: unexpected argument \"{}\"", arguments.positional()[0]);
  context.world = open_world();
  Communicator& ranks = *context.world;
  compare_facts(ranks, {{.name = "program", .value = version_line(), .remedy = "start the same program on all ranks"}});
  const std::vector<std::string> hosts = all_gather_text(ranks, host_name());
  const double sum_ms = time_of_sum(ranks);
  if (ranks.rank() == 0) {
    const bool alone = ranks.describe() == "self";
    context.out << fmt::format("{} rank{} {}\n", ranks.size(), ranks.size() == 1 ? "" : "s",
                               alone ? "without MPI: no launcher started this process" : "over " + describe_mpi_plug_in());
    for (std::size_t r = 0; r < hosts.size();) {
      std::vector<int> same;
      const std::string& host = hosts[r];
      for (; r < hosts.size() && hosts[r] == host; ++r) same.push_back(static_cast<int>(r));
      context.out << fmt::format("  {} on {}\n", rank_list(same), host);
    }
    if (ranks.size() > 1) context.out << fmt::format("  a sum over 4 MiB: {:.2f} ms\n", sum_ms);
    context.out << std::flush;
  }
  ranks.close();
  return 0;
}

const RegisterCommand registered({.name = "ranks",
                                  .summary = "let the ranks of a job meet, and say who is where",
                                  .usage = "",
                                  .help = kHelp,
                                  .options = {},
                                  .run = run});

}  // namespace
}  // namespace lockstep
