#pragma once

#include <caf/all.hpp>

/// @file
/// The one place that knows which version of CAF this is. Sources spell typed
/// interfaces the way CAF 0.18 and later do, `caf::result<R>(Args...)`.

namespace aiops {

namespace detail {

template <class F>
struct signature;

template <class... Rs, class... Ts>
struct signature<caf::result<Rs...>(Ts...)> {
  using type = typename caf::replies_to<Ts...>::template with<Rs...>;
};

} // namespace detail

/// A statically typed actor handle, declared by modern signatures.
template <class... Fs>
using typed_actor = caf::typed_actor<typename detail::signature<Fs>::type...>;

/// Names the scheduler that suits a service: one queue and sleeping workers.
/// Work stealing polls while idle and wakes late.
inline void use_sharing_scheduler(caf::actor_system_config& cfg,
                                  size_t workers) {
  cfg.set("scheduler.policy", caf::atom("sharing"));
  cfg.set("scheduler.max-threads", workers);
}

} // namespace aiops
