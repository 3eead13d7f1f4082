#include "nats/counts/generation.hpp"

#include "base/time.hpp"
#include "nats/json.hpp"
#include "nats/subjects.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace aiops::nats {

namespace {

/// Maximum number of attempts while it is unknown whether a write succeeded.
constexpr int max_tries = 3;

} // namespace

// -- generation_writer --------------------------------------------------------

generation_writer::generation_writer(key_access keys, breakdown_ptr counts,
                                     plan what, done_fun done)
  : keys_(std::move(keys)), counts_(std::move(counts)), plan_(std::move(what)),
    done_(std::move(done)), cluster_(counts_->clusters.begin()) {
  // nop
}

void generation_writer::start() {
  auto marker = dump_json(
    {{"owner", plan_.head.owner},
     {"startedAt", to_rfc3339(plan_.head.aggregated_at)}});
  queue_.push_back(write_of(
    plan_.prefix + std::string{subjects::generation_begin}, std::move(marker)));
  // Fails if another replica has begun this generation.
  queue_.back().expected = 0;
  proceed();
}

void generation_writer::cancel() {
  done_ = nullptr;
}

kv_write generation_writer::write_of(std::string key, std::string value) const {
  return {plan_.bucket, std::move(key), std::move(value), std::nullopt};
}

std::optional<kv_write> generation_writer::next() {
  if (phase_ == phase::shards)
    return next_shard();
  if (queue_.empty())
    return std::nullopt;
  auto result = std::move(queue_.back());
  queue_.pop_back();
  return result;
}

std::optional<kv_write> generation_writer::next_shard() {
  while (cluster_ != counts_->clusters.end()) {
    auto& counts = cluster_->second->value();
    if (!splitter_) {
      splitter_.emplace(counts, plan_.limit);
      shards_.push_back({counts.cluster_id(), 0});
      plan_.head.workloads += counts.size();
    }
    if (!splitter_->done()) {
      auto key = subjects::shard_key(plan_.prefix, counts.cluster_id(),
                                     shards_.back().parts++);
      return write_of(std::move(key), splitter_->next());
    }
    splitter_.reset();
    ++cluster_;
  }
  return std::nullopt;
}

void generation_writer::proceed() {
  while (done_ && in_flight_ < plan_.window) {
    if (auto write = next()) {
      put(std::move(*write), 1);
      continue;
    }
    if (in_flight_ > 0)
      return;
    phase_ = static_cast<phase>(static_cast<int>(phase_) + 1);
    if (phase_ == phase::index) {
      auto values = encode_index(shards_, plan_.limit);
      plan_.head.index_values = values.size();
      for (size_t i = 0; i < values.size(); ++i)
        queue_.push_back(
          write_of(subjects::index_key(plan_.prefix, i), std::move(values[i])));
    } else if (phase_ == phase::manifest) {
      queue_.push_back(
        write_of(plan_.prefix + std::string{subjects::generation_manifest},
                 encode_manifest(plan_.head)));
    } else if (phase_ == phase::end) {
      return finish({});
    }
  }
}

void generation_writer::put(kv_write what, int tries) {
  if (!plan_.allowed())
    return finish(make_error(ec::conflict, "the lease on counting ended while "
                                           "the counts were written"));
  ++in_flight_;
  auto on_answer = [self = shared_from_this(), what,
                    tries](const caf::expected<uint64_t>& got) {
    --self->in_flight_;
    if (!self->done_)
      return;
    // Writing the same value twice is harmless. A conflict at the second
    // attempt means that the first one was stored.
    auto stored = got || (tries > 1 && code_of(got.error()) == ec::conflict);
    if (stored)
      self->proceed();
    else if (may_have_happened(code_of(got.error())) && tries < max_tries)
      self->put(what, tries + 1);
    else
      self->finish(got.error());
  };
  keys_.put(std::move(what), std::move(on_answer));
}

void generation_writer::finish(caf::error err) {
  if (auto done = std::exchange(done_, nullptr))
    done(std::move(err));
}

// -- generation_reader --------------------------------------------------------

generation_reader::generation_reader(key_access keys, std::string manifest_key,
                                     size_t window, done_fun done)
  : keys_(std::move(keys)), manifest_key_(std::move(manifest_key)),
    prefix_(manifest_key_.substr(0, manifest_key_.rfind('.') + 1)),
    window_(window), done_(std::move(done)) {
  // nop
}

void generation_reader::start() {
  queue_ = {manifest_key_};
  handle_ = &generation_reader::read_manifest;
  next_ = &generation_reader::list_index;
  proceed();
}

void generation_reader::proceed() {
  while (done_ && in_flight_ < window_) {
    if (queue_.empty()) {
      if (in_flight_ > 0)
        return;
      (this->*next_)();
      continue;
    }
    auto key = std::move(queue_.back());
    queue_.pop_back();
    ++in_flight_;
    keys_.get(key, [self = shared_from_this(),
                    key](const caf::expected<kv_entry>& got) {
      --self->in_flight_;
      if (!self->done_)
        return;
      if (!got)
        return self->finish(got.error());
      if (got->revision == 0)
        return self->finish(make_error(ec::not_found, "there is no " + key));
      ((*self).*(self->handle_))(*got);
      self->proceed();
    });
  }
}

void generation_reader::read_manifest(const kv_entry& entry) {
  if (auto x = decode_manifest(entry.value))
    manifest_ = std::move(*x);
  else
    finish(make_error(ec::bad_reply, "the manifest is not readable"));
}

void generation_reader::list_index() {
  for (size_t i = 0; i < manifest_.index_values; ++i)
    queue_.push_back(subjects::index_key(prefix_, i));
  handle_ = &generation_reader::read_index;
  next_ = &generation_reader::list_shards;
}

void generation_reader::read_index(const kv_entry& entry) {
  if (!decode_index(entry.value, shards_))
    finish(make_error(ec::bad_reply, "the index is not readable"));
}

void generation_reader::list_shards() {
  // The queue is processed from its end, so reverse order means sorted reads.
  std::sort(shards_.begin(), shards_.end(),
            [](auto& x, auto& y) { return x.cluster_id > y.cluster_id; });
  for (auto& x : shards_)
    for (size_t i = x.parts; i > 0; --i)
      queue_.push_back(subjects::shard_key(prefix_, x.cluster_id, i - 1));
  shards_.clear();
  handle_ = &generation_reader::read_shard;
  next_ = &generation_reader::complete;
}

void generation_reader::read_shard(const kv_entry& entry) {
  if (!decode_shard(entry.value, builder_))
    finish(make_error(ec::bad_reply, "a shard is not readable"));
}

void generation_reader::complete() {
  if (builder_.size() != manifest_.workloads)
    return finish(make_error(ec::bad_reply, "the shards do not add up to what "
                                            "the manifest says"));
  if (auto done = std::exchange(done_, nullptr))
    done(std::pair{builder_.finish(), manifest_});
}

void generation_reader::finish(caf::error err) {
  if (auto done = std::exchange(done_, nullptr))
    done(std::move(err));
}

} // namespace aiops::nats
