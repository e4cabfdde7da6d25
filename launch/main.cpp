#include <csignal>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "launch/program.h"

int main(int count, char** arguments) {
  // A closed pipe is an error of the write, not a silent death that takes the job along.
  std::signal(SIGPIPE, SIG_IGN);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::vector<std::string> all(arguments + 1, arguments + count);
  return lockstep::run_program(all, std::cout, std::cerr);
}
