#include "actors/gpu_info.hpp"

#include "actors/error.hpp"
#include "actors/log.hpp"

#include <utility>

namespace aiops {

gpu_info_actor::behavior_type
gpu_info_state::make_behavior(gpu_probe_actor probe,
                              const gpu_info_config& cfg) {
  probe_ = std::move(probe);
  cfg_ = cfg;
  return {
    [this](get_atom) { return get(); },
  };
}

caf::result<gpu_info_state::answer> gpu_info_state::get() {
  waiting_.push_back(self_->make_response_promise<answer>());
  auto promise = waiting_.back();
  if (waiting_.size() == 1)
    self_->request(probe_, cfg_.request_timeout, get_atom_v)
      .then([this](gpu_list& xs) { succeed(std::move(xs)); },
            [this](const caf::error& err) { fail(err); });
  return promise;
}

void gpu_info_state::succeed(gpu_list gpus) {
  if (std::exchange(failing_, false))
    log::info(name, "sees the GPUs again");
  if (!last_ || last_->value() != gpus)
    last_ = make_snapshot(std::move(gpus));
  for (auto& promise : std::exchange(waiting_, {}))
    promise.deliver(last_);
}

void gpu_info_state::fail(const caf::error& err) {
  if (!std::exchange(failing_, true))
    log::warning(name, "cannot see the GPUs", {{"reason", text_of(err)}});
  for (auto& promise : std::exchange(waiting_, {})) {
    if (last_)
      promise.deliver(last_);
    else
      promise.deliver(err);
  }
}

gpu_info_actor::behavior_type
gpu_info(gpu_info_actor::stateful_pointer<gpu_info_state> self,
         gpu_probe_actor probe, const gpu_info_config& cfg) {
  return self->state.make_behavior(std::move(probe), cfg);
}

} // namespace aiops
