#pragma once

#include "actors/messages.hpp"

/// @file
/// Every actor's interface, and at the end a handle to each actor: the protocol
/// of the system at a glance. What an actor only sends to itself is in its own
/// header.
///
/// Any request may fail with an error of `base/error.hpp`; each is answered
/// within its deadline.

namespace aiops {

// -- listeners ----------------------------------------------------------------

/// Receives the training book.
using book_listener_actor = typed_actor<
  // The current book; sent as soon as it is known, then after every change.
  caf::result<void>(update_atom, stored_book)>;

/// Receives all changes.
using event_listener_actor = typed_actor<
  // Something changed.
  caf::result<void>(update_atom, event_value)>;

/// Receives the counts in the store.
using breakdown_listener_actor = typed_actor<
  // The current counts; sent at once, then after every change.
  caf::result<void>(update_atom, stored_breakdown)>;

/// Receives the state of a lease, and acts only while it holds the lease.
using lease_listener_actor = typed_actor<
  // The state of the lease; sent at once, then after every change and renewal.
  caf::result<void>(update_atom, lease_status)>;

/// Receives the state of the connection to NATS.
using bus_listener_actor = typed_actor<
  // The current state; sent at once, then after every change.
  caf::result<void>(update_atom, bus_status)>;

// -- the domain ---------------------------------------------------------------

/// TRAINING submits watchlists to the training backend, one after another.
using training_actor = typed_actor<
  // Submits the whole watchlist, or answers what a submission would do. An
  // empty list resets the model. The job is stored before the backend is asked,
  // and its outcome before the answer is sent.
  caf::result<training_result>(train_atom, training_request),
  // The book changed.
  caf::result<void>(update_atom, stored_book)>;

/// TRAINING JOBS keeps the book: makes every change to it, one after another,
/// as a conditional write.
using training_jobs_actor = typed_actor<
  // Makes a change and answers when it is stored; `conflict` when the book
  // does not allow it.
  caf::result<book_update>(put_atom, job_change),
  // Cancels the job and removes its stored status and watchlist, also for other
  // programs. May be repeated.
  caf::result<stored_book>(delete_atom),
  // Reads the book; concurrent callers share one read.
  caf::result<stored_book>(get_atom),
  // Answers the last 100 jobs, the newest first. Reads the history when it is
  // not in memory; concurrent callers share one read.
  caf::result<snapshot_ptr<job_summaries>>(list_atom),
  // Answers the one of these with that id; `not_found` without one.
  caf::result<training_job>(get_atom, std::string),
  // Sends the book to the listener until it ends.
  caf::result<void>(subscribe_atom, book_listener_actor),
  // The store's book changed.
  caf::result<void>(update_atom, stored_book)>;

/// TRAINING STATUS knows the progress of the training.
using training_status_actor = typed_actor<
  // What the compatibility API shows. Asks backend and store, after all puts
  // that came before have ended; concurrent callers share one request in
  // flight. When backend or store do not answer in time, answers the last known
  // status.
  caf::result<snapshot_ptr<model_status>>(get_atom),
  // Everything, from memory.
  caf::result<snapshot_ptr<training_overview>>(overview_atom),
  // Stores progress. Answers when it is stored; `conflict` when it is about an
  // older job.
  caf::result<void>(put_atom, job_progress),
  // The book changed.
  caf::result<void>(update_atom, stored_book),
  // The connection to NATS changed.
  caf::result<void>(update_atom, bus_status)>;

/// WATCHLIST knows the workloads of the last submission.
using watchlist_actor = typed_actor<
  // Asks the backend; concurrent callers share one request in flight.
  caf::result<snapshot_ptr<workload_list>>(get_atom),
  // The list that a gateway submitted last, from memory.
  caf::result<snapshot_ptr<watchlist_overview>>(overview_atom),
  // The book changed.
  caf::result<void>(update_atom, stored_book)>;

/// TRAINING HOOKS notifies the hooks of jobs that have ended, at least once per
/// job, while this replica holds the lease for that.
using training_hooks_actor = typed_actor<
  // The book changed.
  caf::result<void>(update_atom, stored_book),
  // The lease changed hands or was renewed.
  caf::result<void>(update_atom, lease_status)>;

/// EVENTS sends changes to its listeners.
using events_actor = typed_actor<
  // The current value of a topic; sent to the listeners if it differs from the
  // last one.
  caf::result<void>(update_atom, event_value),
  // Sends the listener the current value of every topic and then every change,
  // until it ends.
  caf::result<void>(subscribe_atom, event_listener_actor)>;

/// GPU INFO knows the GPUs.
using gpu_info_actor = typed_actor<
  // Answers the resources whose names begin with `nvidia.com/gpu`, from the
  // last scan.
  caf::result<snapshot_ptr<gpu_list>>(get_atom),
  // Answers everything, with its age.
  caf::result<snapshot_ptr<gpu_inventory>>(overview_atom)>;

/// RUNTIME CLASSES knows the runtime classes of the Kubernetes cluster.
using runtime_classes_actor = typed_actor<
  // Answers their names at once, as last read; none before the first read and
  // without a cluster.
  caf::result<std::vector<std::string>>(get_atom)>;

/// LOG AGGREGATION counts the log messages periodically and keeps the counts
/// of the store in memory, also those of other replicas and programs.
using log_aggregation_actor = typed_actor<
  // Answers the counts of one cluster; empty for an unknown one.
  caf::result<snapshot_ptr<cluster_counts>>(get_atom, std::string),
  // Answers the list of clusters.
  caf::result<snapshot_ptr<cluster_overview>>(get_atom),
  // The store's counts changed.
  caf::result<void>(update_atom, stored_breakdown),
  // The lease for the aggregation changed hands or was renewed.
  caf::result<void>(update_atom, lease_status)>;

/// LOG HISTORY keeps the counts of the last day by cluster and interval.
using log_history_actor = typed_actor<
  // Answers the history of one cluster; empty for an unknown one.
  caf::result<snapshot_ptr<cluster_history>>(get_atom, std::string),
  // The store's counts changed.
  caf::result<void>(update_atom, stored_breakdown)>;

/// LEASE competes with other replicas for a task that one replica does at a
/// time.
using lease_actor = typed_actor<
  // Sends the state of the lease to the listener until it ends.
  caf::result<void>(subscribe_atom, lease_listener_actor)>;

// -- the edges ----------------------------------------------------------------

/// BACKEND sends requests to the training services, in one of their protocols.
using backend_actor = typed_actor<
  // Submits a watchlist; answers the backend's response within the timeout.
  // What the backend reads from the store is stored before, and removed when
  // the backend certainly did not get the watchlist.
  caf::result<std::string>(train_atom, backend_submission, caf::timespan),
  // Answers the state of the model, in the backend's words.
  caf::result<backend_report>(status_atom),
  // Answers the workloads of the last submission.
  caf::result<workload_list>(watchlist_atom),
  // Answers if the backend can be reached.
  caf::result<void>(check_atom),
  // Answers what other programs read of the model.
  caf::result<stored_model>(get_atom),
  // Stores what other programs read of the model.
  caf::result<void>(put_atom, model_status),
  // Removes what other programs read of the model.
  caf::result<void>(delete_atom),
  // Where the protocol keeps the watchlist in the store: stores this one there,
  // or removes it when this one has no id, by a conditional write over the
  // given revision.
  caf::result<void>(put_atom, backend_submission, uint64_t)>;

/// JOB STORE keeps the book and the history of jobs.
using job_store_actor = typed_actor<
  // Answers the book, with revision 0 when there is none.
  caf::result<stored_book>(get_atom),
  // Stores the book, after its lists, by a conditional write over the given
  // revision; answers the new revision.
  caf::result<uint64_t>(put_atom, training_book, uint64_t),
  // Stores a watchlist before the book that will refer to it by this job.
  caf::result<void>(put_atom, backend_submission),
  // Answers the ids of all watchlists.
  caf::result<std::vector<std::string>>(list_atom, watchlist_atom),
  // Removes a watchlist that nothing refers to any more.
  caf::result<void>(delete_atom, std::string),
  // Adds a job to the history; one that it already has stays as it is.
  caf::result<void>(put_atom, training_job),
  // Answers the history, at most 100 jobs in any order.
  caf::result<job_summaries>(list_atom),
  // Answers the job with that number in the history; `not_found` without one.
  caf::result<training_job>(get_atom, uint64_t),
  // Sends the book to the listener until it ends.
  caf::result<void>(subscribe_atom, book_listener_actor),
  // Number of the last job that was sent to the hooks, 0 for none.
  caf::result<uint64_t>(get_atom, hooks_atom),
  // Stores that number.
  caf::result<void>(put_atom, hooks_atom, uint64_t)>;

/// JOB HOOK notifies one receiver outside of a job that has ended.
using job_hook_actor = typed_actor<
  // Tries once.
  caf::result<void>(put_atom, training_job)>;

/// COUNTS STORE keeps the counts of log messages that all replicas share.
using counts_store_actor = typed_actor<
  // Stores counts of any size, and their sums as the latest history; answers
  // them as stored. `conflict` unless this replica holds the lease.
  caf::result<stored_breakdown>(put_atom, breakdown_ptr),
  // Stores for all replicas why the counts cannot be renewed; valid until they
  // are.
  caf::result<void>(put_atom, std::string),
  // Answers the history, in any order.
  caf::result<std::vector<history_point>>(get_atom),
  // Sends the counts to the listener until it ends.
  caf::result<void>(subscribe_atom, breakdown_listener_actor)>;

/// LOG SOURCE counts log messages where they are kept.
using log_source_actor = typed_actor<
  // Counts everything once. An answer is complete, or it is an error.
  caf::result<breakdown_ptr>(count_atom)>;

/// GPU PROBE scans the GPUs.
using gpu_probe_actor = typed_actor<
  // Scans once.
  caf::result<gpu_list>(get_atom),
  // Answers the names of the runtime classes, in order; none where the source
  // is not a cluster.
  caf::result<std::vector<std::string>>(list_atom)>;

/// AI SETTINGS reads the file of `--ai-settings`.
using ai_settings_actor = typed_actor<
  // Answers a JSON object without secrets, as last read; `{}` without a file.
  caf::result<std::string>(get_atom)>;

/// Receives the messages on a subject.
using bus_sink_actor = typed_actor<
  // A message arrived.
  caf::result<void>(bus_message),
  // The connection was made (again): messages may have been missed.
  caf::result<void>(connect_atom)>;

/// BUS sends and receives over NATS, never blocks, and always reconnects.
using bus_actor = typed_actor<
  // Sends a request and answers its reply.
  caf::result<bus_reply>(request_atom, bus_request),
  // Sends every message on a subject (wildcards allowed) to the sink until it
  // ends.
  caf::result<void>(subscribe_atom, std::string, bus_sink_actor),
  // Sends each message to one of the sinks, in all processes, that name the
  // same queue.
  caf::result<void>(subscribe_atom, std::string, std::string, bus_sink_actor),
  // Sends a message without waiting for a reply; `disconnected` without a
  // connection.
  caf::result<void>(put_atom, bus_message),
  // Sends the state of the connection to the listener until it ends.
  caf::result<void>(subscribe_atom, bus_listener_actor),
  // Answers the state of the connection.
  caf::result<bus_status>(status_atom)>;

/// Receives the values of a key.
using kv_listener_actor = typed_actor<
  // The value in the store.
  caf::result<void>(update_atom, kv_entry)>;

/// KEY-VALUE STORE reads, writes and follows JetStream buckets; creates a
/// bucket that is missing.
using kv_store_actor = typed_actor<
  // Reads a key; `revision` 0 when it has no value.
  caf::result<kv_entry>(get_atom, std::string, std::string),
  // Writes a key and answers its new revision.
  caf::result<uint64_t>(put_atom, kv_write),
  // Creates a bucket if it is missing.
  caf::result<void>(check_atom, std::string),
  // Removes all keys of a bucket whose names match (`*` one token, `>` the
  // rest); answers how many there were.
  caf::result<uint64_t>(delete_atom, std::string, std::string),
  // Answers the keys of a bucket whose names match, at most 100,000.
  caf::result<std::vector<std::string>>(list_atom, std::string, std::string),
  // Sends the listener the value of bucket and key now and after every
  // change, until it ends.
  caf::result<void>(subscribe_atom, std::string, std::string,
                    kv_listener_actor)>;

// -- all of them --------------------------------------------------------------

/// A handle to every actor. A restart replaces handles, so only children of the
/// supervisor may keep one: others get it from the `directory` each time.
struct gateway_actors {
  bus_actor bus;
  kv_store_actor kv_store;
  /// Checks that the embedded server stores; null without such a server.
  caf::actor storage_watch;
  /// Creates the buckets.
  bus_listener_actor buckets;
  events_actor events;
  event_listener_actor event_feed;
  job_store_actor job_store;
  lease_actor lease;
  /// Only for the counts, because reading and writing them takes long.
  kv_store_actor counts_kv_store;
  counts_store_actor counts_store;
  backend_actor backend;
  /// Publishes on NATS.
  job_hook_actor nats_hook;
  job_hook_actor webhook;
  lease_actor hooks_lease;
  training_hooks_actor training_hooks;
  log_source_actor log_source;
  gpu_probe_actor gpu_probe;
  training_jobs_actor training_jobs;
  training_actor training;
  training_status_actor training_status;
  /// Receives progress over NATS.
  bus_sink_actor progress_feed;
  watchlist_actor watchlist;
  gpu_info_actor gpu_info;
  runtime_classes_actor runtime_classes;
  ai_settings_actor ai_settings;
  log_aggregation_actor log_aggregation;
  log_history_actor log_history;
};

} // namespace aiops

AIOPS_LOCAL_MESSAGE_TYPE(aiops::book_listener_actor)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::breakdown_listener_actor)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::bus_listener_actor)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::bus_sink_actor)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::event_listener_actor)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::kv_listener_actor)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::lease_listener_actor)
