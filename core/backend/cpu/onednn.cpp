#include "core/backend/cpu/onednn.h"

#include "core/backend/cpu/thread_pool.h"

namespace lockstep::cpu {

const dnnl::engine& onednn_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

struct Executable::Context {
  dnnl::stream stream{onednn_engine()};
  std::vector<dnnl::memory> memories;
  std::vector<void*> handles;
  std::unordered_map<int, dnnl::memory> arguments;

  void add(int id, const dnnl::memory::desc& desc) {
    memories.emplace_back(desc, onednn_engine(), nullptr);
    handles.push_back(nullptr);
    arguments.emplace(id, memories.back());
  }
  // Setting a handle makes the library zero the layout's padding, so it is not repeated for the same memory.
  void point(std::size_t index, void* handle) {
    if (handles[index] == handle) return;
    memories[index].set_data_handle(handle, stream);
    handles[index] = handle;
  }
};

Executable::Executable(dnnl::primitive primitive, std::vector<Argument> arguments, dnnl::memory::desc scratch)
    : primitive_(std::move(primitive)), arguments_(std::move(arguments)), scratch_(std::move(scratch)) {}

Executable::~Executable() = default;

std::unique_ptr<Executable::Context> Executable::borrow() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto context = std::move(idle_.back());
      idle_.pop_back();
      return context;
    }
  }
  auto context = std::make_unique<Context>();
  for (const Argument& argument : arguments_) context->add(argument.id, argument.desc);
  context->add(DNNL_ARG_SCRATCHPAD, scratch_);
  return context;
}

void Executable::run(std::span<void* const> pointers, std::byte* scratch) const {
  prepare_thread();
  auto context = borrow();
  for (std::size_t i = 0; i < pointers.size(); ++i) context->point(i, pointers[i]);
  context->point(pointers.size(), scratch);
  primitive_.execute(context->stream, context->arguments);
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(context));
}

Reorder::Reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to) {
  prepare_thread();
  guard_onednn("reorder", [&] {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::reorder::primitive_desc made(onednn_engine(), from, onednn_engine(), to, attributes);
    executable_ = std::make_unique<Executable>(
        dnnl::reorder(made), std::vector<Executable::Argument>{{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}, made.scratchpad_desc());
  });
}

void Reorder::run(const void* from, void* to) const {
  std::vector<std::byte> scratch(executable_->scratch_bytes());
  void* const pointers[] = {const_cast<void*>(from), to};
  guard_onednn("reorder", [&] { executable_->run(pointers, scratch.data()); });
}

}  // namespace lockstep::cpu
