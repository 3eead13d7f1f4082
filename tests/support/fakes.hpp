#pragma once

#include "actors/actors.hpp"
#include "base/error.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

/// @file
/// Fakes of the actors at the edges. Each has a `script` per message, in which
/// a test sets the answer and finds the requests.

namespace aiops::test {

/// How a fake answers the requests of one kind.
template <class R, class... Args>
class script {
public:
  explicit script(R answer) : plan_(std::move(answer)) {
    // nop
  }

  // -- the answer to the next requests ------------------------------------------

  void answer(R value) {
    plan_ = std::move(value);
  }

  void fail(ec code, std::string text = "scripted failure") {
    plan_ = make_error(code, std::move(text));
  }

  /// Does not answer, and keeps the requests for `release`.
  void hold() {
    plan_ = silence{};
  }

  /// Ends the actor at the next request, like an exception.
  void crash() {
    plan_ = death{};
  }

  // -- requests that were held ---------------------------------------------------

  size_t held() const {
    return held_.size();
  }

  /// Answers the oldest request that was held.
  void release(R value) {
    pop().deliver(std::move(value));
  }

  void release_error(ec code, std::string text = "scripted failure") {
    pop().deliver(make_error(code, std::move(text)));
  }

  // -- requests that were received ----------------------------------------------

  size_t calls() const {
    return calls_.size();
  }

  /// The arguments of the i-th request.
  const std::tuple<Args...>& call(size_t i) const {
    return calls_.at(i);
  }

  const std::tuple<Args...>& last() const {
    return calls_.back();
  }

  // -- for the fake ------------------------------------------------------------

  /// `caf::unit_t` represents an answer without a value.
  using message = std::conditional_t<std::is_same_v<R, caf::unit_t>, void, R>;

  template <class Self>
  caf::result<message> operator()(Self* self, const Args&... args) {
    calls_.emplace_back(args...);
    if (std::holds_alternative<R>(plan_)) {
      if constexpr (std::is_same_v<R, caf::unit_t>)
        return caf::unit;
      else
        return std::get<R>(plan_);
    }
    if (std::holds_alternative<caf::error>(plan_))
      return std::get<caf::error>(plan_);
    if (std::holds_alternative<death>(plan_)) {
      self->quit(caf::make_error(caf::sec::runtime_error));
      return caf::make_error(caf::sec::runtime_error);
    }
    auto promise = self->make_response_promise();
    held_.push_back(promise);
    return promise;
  }

private:
  struct silence {};
  struct death {};

  caf::response_promise pop() {
    if (held_.empty())
      throw std::logic_error{"no request to release"};
    auto result = std::move(held_.front());
    held_.pop_front();
    return result;
  }

  std::variant<R, caf::error, silence, death> plan_;
  std::vector<std::tuple<Args...>> calls_;
  std::deque<caf::response_promise> held_;
};

/// The training backend: has no watchlist and accepts everything.
struct backend_script {
  script<std::string, backend_submission, caf::timespan> train{
    "training job submitted"};
  script<backend_report> status{backend_report{"not started"}};
  script<workload_list> watchlist{workload_list{}};
  script<caf::unit_t> check{caf::unit};
  script<stored_model> stored{stored_model{}};
  script<caf::unit_t, model_status> put{caf::unit};
  script<caf::unit_t> forget{caf::unit};
  script<caf::unit_t, backend_submission, uint64_t> put_watchlist{caf::unit};
  /// The requests, in order.
  std::vector<std::string> asked;
};

/// The store of jobs, in memory. Several actors with one script are like
/// several replicas with one store.
struct job_store_script {
  stored_book book;
  /// By number.
  std::map<uint64_t, training_job> history;
  /// The watchlists that were stored, before or with a book, by id.
  std::map<std::string, shared_workloads> watchlists;
  uint64_t notified = 0;
  std::vector<book_listener_actor> listeners;
  /// The books that were stored, in order.
  std::vector<training_book> books;
  size_t reads = 0;
  /// Number of reads of the whole history, and of one job.
  size_t lists = 0;
  size_t finds = 0;
  /// While set, all requests fail with it.
  caf::error down;
  /// The same for additions to the history, and for watchlists.
  caf::error history_down;
  caf::error watchlists_down;
  /// Error of the next write only, which is not stored.
  caf::error refuse;
  /// Error of the next write only, which is stored nevertheless.
  caf::error lose_answer;
  /// The book that another replica stores just after the write whose answer is
  /// lost.
  std::optional<training_book> overtake;
  /// What readers get instead of the book, as from an outdated copy.
  std::optional<stored_book> stale;
  /// Whether listeners receive no updates.
  bool quiet = false;

  /// Stores a book like another replica.
  void store(training_book value);

  /// Sends an update to all listeners.
  void publish() const;
};

/// The actor that changes the book: the book is empty, and changes do nothing.
struct training_jobs_script {
  script<book_update, job_change> put{book_update{}};
  script<stored_book> forget{stored_book{}};
  script<stored_book> get{stored_book{}};
  script<snapshot_ptr<job_summaries>> list{make_snapshot(job_summaries{})};
  script<training_job, std::string> find{training_job{}};
  std::vector<book_listener_actor> listeners;

  /// Sends an update to all listeners.
  void publish(const stored_book& book) const;
};

/// A hook: receives each job that has ended.
struct job_hook_script {
  script<caf::unit_t, training_job> put{caf::unit};
};

/// The counts store: accepts everything.
struct counts_store_script {
  script<stored_breakdown, breakdown_ptr> put{stored_breakdown{}};
  script<std::vector<history_point>> history{std::vector<history_point>{}};
  /// The failures that were stored for all replicas, in order.
  std::vector<std::string> failures;
  std::vector<breakdown_listener_actor> listeners;

  /// Sends an update to all listeners.
  void publish(const stored_breakdown& counts) const;
};

struct lease_script {
  std::vector<lease_listener_actor> listeners;

  /// Sends an update to all listeners.
  void publish(const lease_status& status) const;
};

struct log_source_script {
  script<breakdown_ptr> count{std::make_shared<const breakdown>()};
};

struct gpu_probe_script {
  script<gpu_list> get{gpu_list{}};
  script<std::vector<std::string>> classes{std::vector<std::string>{}};
};

/// The events actor: keeps all values, even equal ones, and has no listeners.
struct events_script {
  std::vector<event_value> published;

  /// The last value, which must be a snapshot of `T`.
  template <class T>
  const T& last() const {
    return std::get<snapshot_ptr<T>>(published.back())->value();
  }
};

using backend_script_ptr = std::shared_ptr<backend_script>;
using job_store_script_ptr = std::shared_ptr<job_store_script>;
using training_jobs_script_ptr = std::shared_ptr<training_jobs_script>;
using job_hook_script_ptr = std::shared_ptr<job_hook_script>;
using counts_store_script_ptr = std::shared_ptr<counts_store_script>;
using lease_script_ptr = std::shared_ptr<lease_script>;
using log_source_script_ptr = std::shared_ptr<log_source_script>;
using gpu_probe_script_ptr = std::shared_ptr<gpu_probe_script>;
using events_script_ptr = std::shared_ptr<events_script>;

backend_actor::behavior_type fake_backend(backend_actor::pointer self,
                                          backend_script_ptr script);

job_store_actor::behavior_type fake_job_store(job_store_actor::pointer self,
                                              job_store_script_ptr script);

training_jobs_actor::behavior_type
fake_training_jobs(training_jobs_actor::pointer self,
                   training_jobs_script_ptr script);

job_hook_actor::behavior_type fake_job_hook(job_hook_actor::pointer self,
                                            job_hook_script_ptr script);

counts_store_actor::behavior_type
fake_counts_store(counts_store_actor::pointer self,
                  counts_store_script_ptr script);

lease_actor::behavior_type fake_lease(lease_actor::pointer self,
                                      lease_script_ptr script);

log_source_actor::behavior_type fake_log_source(log_source_actor::pointer self,
                                                log_source_script_ptr script);

gpu_probe_actor::behavior_type fake_gpu_probe(gpu_probe_actor::pointer self,
                                              gpu_probe_script_ptr script);

events_actor::behavior_type fake_events(events_actor::pointer self,
                                        events_script_ptr script);

} // namespace aiops::test
