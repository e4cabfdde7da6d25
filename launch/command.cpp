#include "launch/command.h"

#include "core/base/error.h"

namespace lockstep {

Commands& Commands::instance() {
  static Commands commands;
  return commands;
}

void Commands::add(Command command) {
  const std::string name = command.name;
  const bool fresh = commands_.emplace(name, std::move(command)).second;
  require(fresh, "command \"{}\" is registered twice", name);
}

const Command* Commands::find(std::string_view name) const {
  const auto it = commands_.find(name);
  return it == commands_.end() ? nullptr : &it->second;
}

std::vector<std::string> Commands::names() const {
  std::vector<std::string> result;
  for (const auto& [name, command] : commands_) result.push_back(name);
  return result;
}

RegisterCommand::RegisterCommand(Command command, std::source_location at) {
  command.file = at.file_name();
  Commands::instance().add(std::move(command));
}

}  // namespace lockstep
