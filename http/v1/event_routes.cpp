#include "http/routes.hpp"

/// @file
/// The stream of events.

namespace aiops::http {

namespace {

/// The parameter `topics`, a comma-separated list; all topics if it is absent.
caf::expected<topic_set> topics_of(const http_request& req) {
  auto text = req.parameter("topics");
  if (text.empty())
    return topic_set{}.set();
  topic_set result;
  for (;;) {
    auto comma = text.find(',');
    auto word = text.substr(0, comma);
    auto topic = event_topic_of(word);
    if (!topic)
      return make_error(ec::invalid_argument,
                        "unknown topic '" + std::string{word}
                          + "'; the topics are training, watchlist, "
                            "aggregation, gpu and backend");
    result.set(static_cast<size_t>(*topic));
    if (comma == std::string_view::npos)
      return result;
    text.remove_prefix(comma + 1);
  }
}

} // namespace

http_response get_events(const http_request& req, route_env& env) {
  auto topics = topics_of(req);
  if (!topics)
    return error_response(dialect::problem, topics.error());
  http_response result;
  result.slot = env.events.admit(*topics, std::string{req.last_event_id});
  if (!result.slot)
    return error_response(dialect::problem,
                          make_error(ec::overloaded,
                                     "too many clients follow the events, try "
                                     "again in a moment"));
  result.content_type = event_stream_type;
  result.headers.emplace_back("Cache-Control", "no-cache");
  // Otherwise nginx would buffer the events.
  result.headers.emplace_back("X-Accel-Buffering", "no");
  return result;
}

} // namespace aiops::http
