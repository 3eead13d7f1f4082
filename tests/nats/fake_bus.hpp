#pragma once

#include "tests/support/fakes.hpp"

#include <map>

namespace aiops::test {

/// The bus: one script per subject. Other subjects have no responder.
struct bus_script {
  using request_script = script<bus_reply, bus_request>;

  std::map<std::string, request_script> subjects;
  /// By subject.
  std::multimap<std::string, bus_sink_actor> sinks;
  /// The queues of the subscriptions, by subject.
  std::map<std::string, std::string> queues;
  /// Messages without a reply.
  script<caf::unit_t, bus_message> put{caf::unit};

  /// The script of a subject. A new script answers `{}`.
  request_script& on(const std::string& subject) {
    return subjects.try_emplace(subject, bus_reply{"{}"}).first->second;
  }
};

using bus_script_ptr = std::shared_ptr<bus_script>;

inline bus_actor::behavior_type fake_bus(bus_actor::pointer self,
                                         bus_script_ptr script) {
  return {
    [=](request_atom, const bus_request& request) -> caf::result<bus_reply> {
      auto i = script->subjects.find(request.subject);
      if (i == script->subjects.end())
        return make_error(ec::no_responders, "no responder");
      return i->second(self, request);
    },
    [=](subscribe_atom, const std::string& subject,
        const bus_sink_actor& sink) { script->sinks.emplace(subject, sink); },
    [=](subscribe_atom, const std::string& subject, const std::string& queue,
        const bus_sink_actor& sink) {
      script->sinks.emplace(subject, sink);
      script->queues[subject] = queue;
    },
    [=](put_atom, const bus_message& msg) { return script->put(self, msg); },
    [=](subscribe_atom, const bus_listener_actor&) { /* nop */ },
    [=](status_atom) { return bus_status{}; },
  };
}

} // namespace aiops::test
