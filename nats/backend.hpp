#pragma once

#include "actors/actors.hpp"

namespace aiops {

struct backend_config {
  /// How long the backend may take to answer a question. A submission brings
  /// its own deadline.
  caf::timespan request_timeout = std::chrono::seconds{5};
};

/// Speaks the request-reply generation of the training backend.
class backend_state {
public:
  static inline const char* name = "backend";

  explicit backend_state(backend_actor::pointer self);

  void init(bus_actor bus, backend_config config);

  backend_actor::behavior_type make_behavior();

private:
  caf::result<std::string> train(const workload_list& xs,
                                 caf::timespan timeout);

  caf::result<std::string> status();

  caf::result<workload_list> watchlist();

  /// Asks and answers what `decode` makes of the reply: an optional, empty
  /// when the reply is unreadable.
  template <class T, class Decode>
  caf::result<T> ask(std::string_view subject, std::string payload,
                     caf::timespan timeout, Decode decode);

  backend_actor::pointer self_;
  bus_actor bus_;
  backend_config config_;
};

backend_actor::behavior_type
backend(backend_actor::stateful_pointer<backend_state> self, bus_actor bus,
        backend_config config);

} // namespace aiops
