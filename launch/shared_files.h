#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// Where the files lie that ship beside the program (recipes, plans, descriptions of devices): share/lockstep beside the folder of the
/// library, in an installation and in a build tree alike.
std::string shared_folder();

/// The names of the shipped recipes, sorted: that of the file, "resnet50" for examples/resnet/resnet50.toml, or of its folder where the
/// file is called run.toml.
std::vector<std::string> recipe_names();

/// The path of a run file: `name_or_path` itself where it is a path (a file is there, or it has a "/" or ends in ".toml"), else that of
/// the shipped recipe of this name. `usage` error that names the nearest recipes.
std::string find_recipe(const std::string& name_or_path);

}  // namespace lockstep
