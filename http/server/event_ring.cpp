#include "http/server/event_ring.hpp"

#include <algorithm>
#include <charconv>

namespace aiops::http {

namespace {

constexpr std::array<std::string_view, event_topic_count> names = {
  "training", "watchlist", "aggregation", "gpu", "backend"};

} // namespace

std::string_view to_string(event_topic topic) {
  return names[static_cast<size_t>(topic)];
}

std::optional<event_topic> event_topic_of(std::string_view text) {
  auto i = std::find(names.begin(), names.end(), text);
  if (i == names.end())
    return std::nullopt;
  return static_cast<event_topic>(i - names.begin());
}

event_ring::event_ring(std::string epoch, size_t max_events, size_t max_bytes)
  : epoch_(std::move(epoch)), max_events_(max_events), max_bytes_(max_bytes) {
  // nop
}

void event_ring::append(event_topic topic, std::string_view data) {
  auto frame = std::make_shared<event_frame>();
  std::lock_guard guard{mutex_};
  frame->number = last_ + 1;
  frame->topic = topic;
  auto& bytes = frame->bytes;
  bytes.reserve(data.size() + 80);
  bytes += "id: " + epoch_ + '-' + std::to_string(frame->number);
  bytes += "\nevent: ";
  bytes += to_string(topic);
  bytes += "\ndata: ";
  bytes += data;
  bytes += "\n\n";
  bytes_ += bytes.size();
  frames_.push_back(frame);
  ++last_;
  latest_[static_cast<size_t>(topic)] = std::move(frame);
  while (frames_.size() > 1
         && (frames_.size() > max_events_ || bytes_ > max_bytes_)) {
    bytes_ -= frames_.front()->bytes.size();
    frames_.pop_front();
  }
}

std::optional<uint64_t> event_ring::position_of(std::string_view id) const {
  auto dash = id.find('-');
  if (dash == std::string_view::npos || id.substr(0, dash) != epoch_)
    return std::nullopt;
  auto digits = id.substr(dash + 1);
  auto end = digits.data() + digits.size();
  uint64_t number = 0;
  auto [ptr, err] = std::from_chars(digits.data(), end, number);
  if (err != std::errc{} || ptr != end || number < dropped() || number > last_)
    return std::nullopt;
  return number;
}

event_ring::start event_ring::start_after(std::string_view last_id,
                                          const topic_set& topics) const {
  std::lock_guard guard{mutex_};
  if (auto position = position_of(last_id))
    return {*position, {}, false};
  return {last_, latest(topics), !last_id.empty()};
}

bool event_ring::holds(uint64_t position) const {
  std::lock_guard guard{mutex_};
  return position >= dropped();
}

bool event_ring::collect(uint64_t& position, const topic_set& topics,
                         size_t limit,
                         std::vector<event_frame_ptr>& out) const {
  std::lock_guard guard{mutex_};
  if (position < dropped())
    return false;
  auto found = false;
  for (auto i = static_cast<size_t>(position - dropped());
       i < frames_.size() && out.size() < limit; ++i) {
    if (!topics.test(static_cast<size_t>(frames_[i]->topic)))
      continue;
    out.push_back(frames_[i]);
    found = true;
  }
  if (!found && out.size() < limit)
    position = last_;
  return true;
}

std::vector<event_frame_ptr> event_ring::latest(const topic_set& topics) const {
  std::vector<event_frame_ptr> result;
  for (auto& frame : latest_)
    if (frame && topics.test(static_cast<size_t>(frame->topic)))
      result.push_back(frame);
  std::sort(result.begin(), result.end(),
            [](auto& x, auto& y) { return x->number < y->number; });
  return result;
}

} // namespace aiops::http
