#pragma once

#include <caf/all.hpp>

/// @file
/// Adapts to the version of CAF. Sources declare typed interfaces as CAF 0.18
/// and later do, `caf::result<R>(Args...)`.

namespace aiops {

namespace detail {

template <class F>
struct signature;

template <class... Rs, class... Ts>
struct signature<caf::result<Rs...>(Ts...)> {
  using type = typename caf::replies_to<Ts...>::template with<Rs...>;
};

} // namespace detail

/// A statically typed actor handle, declared with signatures of CAF 0.18.
template <class... Fs>
using typed_actor = caf::typed_actor<typename detail::signature<Fs>::type...>;

/// Selects the scheduler with one shared queue, whose workers sleep while idle.
/// The work-stealing scheduler polls while idle and wakes late.
inline void use_sharing_scheduler(caf::actor_system_config& cfg,
                                  size_t workers) {
  cfg.set("scheduler.policy", caf::atom("sharing"));
  cfg.set("scheduler.max-threads", workers);
}

} // namespace aiops
