#pragma once

#include "tests/support/fakes.hpp"

#include <deque>
#include <map>
#include <set>

namespace aiops::test {

/// A key-value store in memory, and its faults.
struct kv_memory {
  using place = std::pair<std::string, std::string>;

  std::map<place, kv_entry> entries;
  /// Revisions of the marks of removed keys.
  std::map<place, uint64_t> removed;
  std::multimap<place, kv_listener_actor> listeners;
  uint64_t sequence = 0;
  /// Buckets that were checked, in order.
  std::vector<std::string> checked;
  /// Values that were read.
  size_t reads = 0;
  /// Every write that was stored, in order.
  std::vector<kv_write> writes;
  /// Called for each write; a write with an error is not stored.
  std::function<caf::error(const kv_write&)> refuse;
  /// Called for each write; a write with an error is stored nevertheless.
  std::function<caf::error(const kv_write&)> lose_answer;
  /// The error of all requests while it is set.
  caf::error down;
  /// When a request is carried out and answered: both at once, the answer
  /// later, or both later.
  enum class timing { at_once, late_answer, late };
  /// Called for each request; without it all are answered at once.
  std::function<timing()> when;
  /// The requests and answers that were postponed, in order.
  std::deque<std::function<void()>> held;
  /// Whether listeners get no changes.
  bool quiet = false;
  /// The wall clock.
  std::function<std::chrono::system_clock::time_point()> clock = [] {
    return std::chrono::system_clock::time_point{};
  };

  const std::string* value(const std::string& bucket,
                           const std::string& key) const {
    auto i = entries.find({bucket, key});
    return i == entries.end() ? nullptr : &i->second.value;
  }

  std::vector<std::string> keys(const std::string& bucket) const {
    std::vector<std::string> result;
    for (auto& [where, entry] : entries)
      if (where.first == bucket)
        result.push_back(where.second);
    return result;
  }

  uint64_t store(const kv_write& write) {
    place where{write.bucket, write.key};
    writes.push_back(write);
    kv_entry entry{write.value, ++sequence, clock(), write.key};
    if (write.removal) {
      entry = {};
      entry.removed = removed[where] = sequence;
      entries.erase(where);
    } else {
      entries[where] = entry;
    }
    if (!quiet)
      for (auto [i, end] = listeners.equal_range(where); i != end; ++i)
        caf::anon_send(i->second, update_atom_v, entry);
    return sequence;
  }

  kv_entry find(const place& where) const {
    if (auto i = entries.find(where); i != entries.end())
      return i->second;
    kv_entry nothing;
    if (auto i = removed.find(where); i != removed.end())
      nothing.removed = i->second;
    return nothing;
  }

  /// Whether a key matches a pattern with `*` and `>`.
  static bool matches(std::string_view pattern, std::string_view key) {
    auto cut = [](std::string_view& from) {
      auto token = from.substr(0, from.find('.'));
      from.remove_prefix(std::min(from.size(), token.size() + 1));
      return token;
    };
    while (!pattern.empty() && !key.empty()) {
      auto expected = cut(pattern);
      if (expected == ">")
        return true;
      auto token = cut(key);
      if (expected != "*" && expected != token)
        return false;
    }
    return pattern.empty() && key.empty();
  }
};

using kv_memory_ptr = std::shared_ptr<kv_memory>;

/// Carries out a request and answers it, now or later.
template <class T>
caf::result<T> serve(kv_store_actor::pointer self, const kv_memory_ptr& memory,
                     std::function<caf::expected<T>()> act) {
  auto when = memory->when ? memory->when() : kv_memory::timing::at_once;
  auto promise = self->make_response_promise<T>();
  auto deliver = [promise](caf::expected<T> x) mutable {
    if (x)
      promise.deliver(std::move(*x));
    else
      promise.deliver(std::move(x.error()));
  };
  if (when == kv_memory::timing::late)
    memory->held.push_back([deliver, act]() mutable { deliver(act()); });
  else if (auto x = act(); when == kv_memory::timing::late_answer)
    memory->held.push_back([deliver, x]() mutable { deliver(x); });
  else
    deliver(x);
  return promise;
}

inline kv_store_actor::behavior_type fake_kv_store(kv_store_actor::pointer self,
                                                   kv_memory_ptr memory) {
  return {
    [=](get_atom, const std::string& bucket, const std::string& key) {
      return serve<kv_entry>(self, memory, [=]() -> caf::expected<kv_entry> {
        if (memory->down)
          return memory->down;
        ++memory->reads;
        return memory->find({bucket, key});
      });
    },
    [=](put_atom, const kv_write& write) {
      return serve<uint64_t>(self, memory, [=]() -> caf::expected<uint64_t> {
        if (memory->down)
          return memory->down;
        if (memory->refuse)
          if (auto err = memory->refuse(write))
            return err;
        auto now = memory->find({write.bucket, write.key});
        auto wrong = write.expected
                     && (*write.expected != now.revision
                         || (now.revision == 0 && write.removed
                             && *write.removed != now.removed));
        if (wrong)
          return make_error(ec::conflict, "wrong last sequence");
        auto revision = memory->store(write);
        if (memory->lose_answer)
          if (auto err = memory->lose_answer(write))
            return err;
        return revision;
      });
    },
    [=](check_atom, const std::string& bucket) -> caf::result<void> {
      memory->checked.push_back(bucket);
      if (memory->down)
        return memory->down;
      return caf::unit;
    },
    [=](delete_atom, const std::string& bucket, const std::string& pattern) {
      return serve<uint64_t>(self, memory, [=]() -> caf::expected<uint64_t> {
        if (memory->down)
          return memory->down;
        return std::erase_if(memory->entries, [&](auto& x) {
          return x.first.first == bucket
                 && kv_memory::matches(pattern, x.first.second);
        });
      });
    },
    [=](list_atom, const std::string& bucket, const std::string& pattern) {
      using strings = std::vector<std::string>;
      return serve<strings>(self, memory, [=]() -> caf::expected<strings> {
        if (memory->down)
          return memory->down;
        auto keys = memory->keys(bucket);
        std::erase_if(
          keys, [&](auto& key) { return !kv_memory::matches(pattern, key); });
        return keys;
      });
    },
    [=](subscribe_atom, const std::string& bucket, const std::string& key,
        const kv_listener_actor& listener) {
      memory->listeners.emplace(kv_memory::place{bucket, key}, listener);
      auto i = memory->entries.find({bucket, key});
      auto entry = i == memory->entries.end() ? kv_entry{} : i->second;
      entry.key = key;
      caf::anon_send(listener, update_atom_v, entry);
    },
  };
}

} // namespace aiops::test
