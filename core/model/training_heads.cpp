#include "core/base/error.h"
#include "core/base/text.h"
#include "core/model/model_builder.h"

namespace lockstep {
namespace {

/// The plug-in's table: a string stands for one whose main option is `true`.
template <class T>
Value table_of(const Value& value, const std::string& kind) {
  if (value.is_table()) return value;
  Value table(Value::Data(Value::Table{}), value.place());
  table.set(kind, Value::boolean(true, value.place()));
  return table;
}

/// Makes a plug-in whose table may hold keys that the builder, not the plug-in, reads: those in `own`.
template <class T>
std::unique_ptr<T> make(const std::string& kind, Options& options, std::initializer_list<const char*> own) {
  auto made = Registry<T>::instance().find(kind)->make(options);
  for (const char* key : own) options.take(key);
  options.finish();
  return made;
}

int find_input(const Graph& graph, const std::string& name, const std::string& where) {
  std::vector<std::string> known;
  for (const int value : graph.inputs()) {
    known.push_back(graph.values()[static_cast<std::size_t>(value)].name);
    if (known.back() == name) return value;
  }
  fail(ErrorKind::run_file, "{}no input is named \"{}\"{}", where, name, hint(name, known));
}

/// Runs `add`, putting the place before the message of a shape error.
void placed(const Value& value, const auto& add) {
  try {
    add();
  } catch (const Error& error) {
    fail(error.kind(), "{}: {}", value.place().text(), error.what());
  }
}

void add_metric(Graph& graph, const Value& value, const std::string& loss_target) {
  const std::string kind = plug_in_name<Metric>(value, value.place().text());
  Options options(table_of<Metric>(value, kind), "metric \"" + kind + "\"");
  std::shared_ptr<const Metric> metric = make<Metric>(kind, options, {kind.c_str(), "name", "target"});
  const std::string name = options.text("name", kind);
  const int target = find_input(graph, options.text("target", loss_target), options.where("target"));
  placed(value, [&] { graph.add_metric(kind, std::move(metric), name, {graph.output(), target}); });
}

}  // namespace

void add_training_heads(Graph& graph, const Value& loss, const std::vector<Value>& metrics) {
  require(graph.output() >= 0, "the graph has no output to train");
  const std::string kind = plug_in_name<Loss>(loss, loss.place().text());
  Options options(table_of<Loss>(loss, kind), "loss \"" + kind + "\"");
  const Value* main = options.take(kind);
  if (!main->is_text() && !main->is_boolean())
    fail(ErrorKind::run_file, "{}expected the name of the target, got {}", options.where(kind), main->describe());
  const std::string target_name = main->is_text() ? main->as_text() : "target";
  const int target = find_input(graph, target_name, options.where(kind));
  std::shared_ptr<const Loss> made = make<Loss>(kind, options, {});
  placed(loss, [&] { graph.add_loss(kind, std::move(made), "loss", {graph.output(), target}); });
  for (const Value& metric : metrics) add_metric(graph, metric, target_name);
}

}  // namespace lockstep
