#pragma once

#include "actors/messages.hpp"

/// @file
/// Every actor's interface: the protocol of the system at a glance.
///
/// Any request may fail with an error of `base/error.hpp`; each answers
/// within its deadline.

namespace aiops {

// -- listeners ----------------------------------------------------------------

/// Whoever follows the training book.
using book_listener_actor = typed_actor<
  // The book as it stands now; sent at once when it is known, then after every
  // change.
  caf::result<void>(update_atom, stored_book)>;

/// Whoever follows all changes.
using event_listener_actor = typed_actor<
  // Something changed.
  caf::result<void>(update_atom, event_value)>;

/// Whoever follows the counts in the store.
using breakdown_listener_actor = typed_actor<
  // The counts as they stand now; sent at once, then after every change.
  caf::result<void>(update_atom, stored_breakdown)>;

/// Whoever acts only while it holds a lease.
using lease_listener_actor = typed_actor<
  // How the lease stands; sent at once, after every change and renewal.
  caf::result<void>(update_atom, lease_status)>;

/// Whoever follows the connection to NATS.
using bus_listener_actor = typed_actor<
  // How it stands; sent at once, then after every change.
  caf::result<void>(update_atom, bus_status)>;

// -- the domain ---------------------------------------------------------------

/// TRAINING submits watchlists to the training backend, one after another.
using training_actor = typed_actor<
  // Submits the whole watchlist, or says what that would do. An empty list
  // resets the model. The job is stored before the backend is asked, and how
  // that went before the answer leaves.
  caf::result<training_result>(train_atom, training_request),
  // The book changed.
  caf::result<void>(update_atom, stored_book)>;

/// TRAINING JOBS holds the book of jobs: makes every change to it, one after
/// another, each over the revision that it was judged by.
using training_jobs_actor = typed_actor<
  // Makes a change and answers when it is stored; `conflict` when the book
  // does not allow it.
  caf::result<book_update>(put_atom, job_change),
  // Gives up the job and forgets what is stored of it, for other programs too.
  // May be repeated.
  caf::result<stored_book>(delete_atom),
  // Reads the book; concurrent callers share one read.
  caf::result<stored_book>(get_atom),
  // Answers the last 100 jobs, the newest first. The history is read when it
  // is not known; concurrent callers share one read.
  caf::result<snapshot_ptr<job_summaries>>(list_atom),
  // Answers the one of these with that id; `not_found` without one.
  caf::result<training_job>(get_atom, std::string),
  // Keeps the listener informed until it goes down.
  caf::result<void>(subscribe_atom, book_listener_actor),
  // The store's book changed.
  caf::result<void>(update_atom, stored_book),
  // INTERNAL: time to look whether the job has stalled.
  caf::result<void>(tick_atom),
  // INTERNAL: time to judge the change at work again.
  caf::result<void>(restart_atom)>;

/// TRAINING STATUS knows how far the training is.
using training_status_actor = typed_actor<
  // What the compatibility surface shows. Asks backend and store, after the
  // end of every put that came before; concurrent callers share one request
  // in flight. If these are silent, answers the last status known.
  caf::result<snapshot_ptr<model_status>>(get_atom),
  // Everything, as known without asking anybody.
  caf::result<snapshot_ptr<training_overview>>(status_atom),
  // Stores progress. The answer means that it is stored; `conflict` that it is
  // about an older job.
  caf::result<void>(put_atom, job_progress),
  // The book changed.
  caf::result<void>(update_atom, stored_book),
  // The connection to NATS changed.
  caf::result<void>(update_atom, bus_status),
  // INTERNAL: time to ask the backend.
  caf::result<void>(tick_atom),
  // INTERNAL: a caller has waited long enough.
  caf::result<void>(check_atom)>;

/// WATCHLIST knows the workloads of the last submission.
using watchlist_actor = typed_actor<
  // Asks the backend; concurrent callers share one request in flight.
  caf::result<snapshot_ptr<workload_list>>(get_atom),
  // As last submitted by a gateway, from memory.
  caf::result<snapshot_ptr<watchlist_overview>>(status_atom),
  // The book changed.
  caf::result<void>(update_atom, stored_book)>;

/// TRAINING HOOKS tells the world about jobs that have ended, each at least
/// once, while this replica holds the lease on that.
using training_hooks_actor = typed_actor<
  // The book changed.
  caf::result<void>(update_atom, stored_book),
  // The lease changed hands or was renewed.
  caf::result<void>(update_atom, lease_status),
  // INTERNAL: time to try again.
  caf::result<void>(tick_atom)>;

/// EVENTS hands changes to whoever follows them.
using events_actor = typed_actor<
  // Something is like this now; told again only when it differs.
  caf::result<void>(update_atom, event_value),
  // Tells the listener how everything stands and then every change, until it
  // goes down.
  caf::result<void>(subscribe_atom, event_listener_actor)>;

/// GPU INFO knows which GPUs there are.
using gpu_info_actor = typed_actor<
  // Answers the resources whose names begin `nvidia.com/gpu`, as last seen.
  caf::result<snapshot_ptr<gpu_list>>(get_atom),
  // Answers everything, with its age.
  caf::result<snapshot_ptr<gpu_inventory>>(status_atom),
  // INTERNAL: time to look again.
  caf::result<void>(tick_atom)>;

/// RUNTIME CLASSES knows the runtime classes of the Kubernetes cluster.
using runtime_classes_actor = typed_actor<
  // Answers their names at once, as last seen; none before the first time and
  // without a cluster.
  caf::result<std::vector<std::string>>(get_atom),
  // INTERNAL: time to look again.
  caf::result<void>(tick_atom)>;

/// LOG AGGREGATION counts the log messages periodically and keeps the counts
/// of the store in memory, whoever wrote them.
using log_aggregation_actor = typed_actor<
  // Answers the counts of one cluster; empty for an unknown one.
  caf::result<snapshot_ptr<cluster_counts>>(get_atom, std::string),
  // Answers the list of clusters.
  caf::result<snapshot_ptr<cluster_overview>>(get_atom),
  // The store's counts changed.
  caf::result<void>(update_atom, stored_breakdown),
  // The lease on counting changed hands or was renewed.
  caf::result<void>(update_atom, lease_status),
  // INTERNAL: time for the next aggregation.
  caf::result<void>(tick_atom)>;

/// LOG HISTORY keeps the counts of the last day by cluster and interval.
using log_history_actor = typed_actor<
  // Answers the history of one cluster; empty for an unknown one.
  caf::result<snapshot_ptr<cluster_history>>(get_atom, std::string),
  // The store's counts changed.
  caf::result<void>(update_atom, stored_breakdown),
  // INTERNAL: time to read the store's history again.
  caf::result<void>(tick_atom)>;

/// LEASE competes with other replicas for a task that one does at a time.
using lease_actor = typed_actor<
  // Keeps the listener informed until it goes down.
  caf::result<void>(subscribe_atom, lease_listener_actor),
  // INTERNAL: time to renew the lease, or to look whether it is free.
  caf::result<void>(tick_atom)>;

/// SUPERVISOR starts all others in order, and again when they die.
using supervisor_actor = typed_actor<
  // INTERNAL: time to start what is missing.
  caf::result<void>(restart_atom)>;

// -- the edges ----------------------------------------------------------------

/// BACKEND speaks to the training services, in one of their protocols.
using backend_actor = typed_actor<
  // Submits a watchlist; answers the backend's words within the timeout. What
  // the backend has to find in the store is stored before, and taken back when
  // the backend surely did not get the watchlist.
  caf::result<std::string>(train_atom, backend_submission, caf::timespan),
  // Answers the state of the model, in the backend's words.
  caf::result<backend_report>(status_atom),
  // Answers the workloads of the last submission.
  caf::result<workload_list>(watchlist_atom),
  // Answers if the backend is there.
  caf::result<void>(check_atom),
  // Answers what other programs read of the model.
  caf::result<stored_model>(get_atom),
  // Stores what other programs read of the model.
  caf::result<void>(put_atom, model_status),
  // Removes that.
  caf::result<void>(delete_atom),
  // Where the protocol keeps the watchlist in the store: puts this one there,
  // or none when it has no id, if the revision still is the given one, else
  // `conflict`.
  caf::result<void>(put_atom, backend_submission, uint64_t),
  // INTERNAL: time to ask again a backend that was not there.
  caf::result<void>(tick_atom)>;

/// JOB STORE keeps the training book and the history of jobs.
using job_store_actor = typed_actor<
  // Answers the book, of revision 0 when there is none.
  caf::result<stored_book>(get_atom),
  // Stores the book, after its lists, if its revision still is the given one,
  // else `conflict`; answers the new revision.
  caf::result<uint64_t>(put_atom, training_book, uint64_t),
  // Stores a watchlist ahead of the book that will refer to it by this job.
  caf::result<void>(put_atom, backend_submission),
  // Answers the ids of all watchlists.
  caf::result<std::vector<std::string>>(list_atom, watchlist_atom),
  // Removes a watchlist that nothing refers to any more.
  caf::result<void>(delete_atom, std::string),
  // Adds a job to the history; one that is there already stays as it is.
  caf::result<void>(put_atom, training_job),
  // Answers the history, at most 100 jobs in any order.
  caf::result<job_summaries>(list_atom),
  // Answers the job with that number in the history; `not_found` without one.
  caf::result<training_job>(get_atom, uint64_t),
  // Keeps the listener informed of the book until it goes down.
  caf::result<void>(subscribe_atom, book_listener_actor),
  // Number of the last job that the world was told of, 0 for none.
  caf::result<uint64_t>(get_atom, hooks_atom),
  // Stores that number.
  caf::result<void>(put_atom, hooks_atom, uint64_t)>;

/// JOB HOOK tells somebody outside about a job that has ended.
using job_hook_actor = typed_actor<
  // Tries once.
  caf::result<void>(put_atom, training_job)>;

/// COUNTS STORE keeps the counts of log messages that all replicas share.
using counts_store_actor = typed_actor<
  // Stores counts of any size, and their sums as the latest history; answers
  // how they stand in the store. `conflict` unless we hold the lease.
  caf::result<stored_breakdown>(put_atom, breakdown_ptr),
  // Tells all replicas why the counts cannot be renewed, until they are.
  caf::result<void>(put_atom, std::string),
  // Answers the history, in any order.
  caf::result<std::vector<history_point>>(get_atom),
  // Keeps the listener informed of the counts until it goes down.
  caf::result<void>(subscribe_atom, breakdown_listener_actor)>;

/// LOG SOURCE counts log messages where they are kept.
using log_source_actor = typed_actor<
  // Counts everything once. An answer is complete, or it is an error.
  caf::result<breakdown_ptr>(count_atom)>;

/// GPU PROBE looks for GPUs.
using gpu_probe_actor = typed_actor<
  // Looks once.
  caf::result<gpu_list>(get_atom),
  // Answers the names of the runtime classes, in order; none where the source
  // is no cluster.
  caf::result<std::vector<std::string>>(list_atom)>;

/// AI SETTINGS reads the file of `--ai-settings`.
using ai_settings_actor = typed_actor<
  // Answers a JSON object without secrets, as last read; `{}` without a file.
  caf::result<std::string>(get_atom)>;

/// Whoever listens on a subject.
using bus_sink_actor = typed_actor<
  // A message arrived.
  caf::result<void>(bus_message),
  // The connection was made (again): messages may have been missed.
  caf::result<void>(connect_atom)>;

/// BUS sends and receives over NATS, never blocks, and reconnects for ever.
using bus_actor = typed_actor<
  // Sends a request and answers its reply.
  caf::result<bus_reply>(request_atom, bus_request),
  // Hands every message on a subject (wildcards allowed) to the sink until it
  // goes down.
  caf::result<void>(subscribe_atom, std::string, bus_sink_actor),
  // Hands each message to one of all sinks, in all processes, that name the
  // same queue.
  caf::result<void>(subscribe_atom, std::string, std::string, bus_sink_actor),
  // Sends a message that nobody answers; `disconnected` without a connection.
  caf::result<void>(put_atom, bus_message),
  // Keeps the listener informed of the connection until it goes down.
  caf::result<void>(subscribe_atom, bus_listener_actor),
  // Answers the state of the connection.
  caf::result<bus_status>(status_atom)>;

/// Whoever follows a key.
using kv_listener_actor = typed_actor<
  // The value as it stands in the store.
  caf::result<void>(update_atom, kv_entry)>;

/// KEY-VALUE STORE reads, writes and follows JetStream buckets; makes a bucket
/// that is missing.
using kv_store_actor = typed_actor<
  // Reads a key; `revision` 0 when it has no value.
  caf::result<kv_entry>(get_atom, std::string, std::string),
  // Writes a key and answers its new revision.
  caf::result<uint64_t>(put_atom, kv_write),
  // Makes a bucket if it is missing.
  caf::result<void>(check_atom, std::string),
  // Removes all keys of a bucket whose names match (`*` one token, `>` the
  // rest); answers how many there were.
  caf::result<uint64_t>(delete_atom, std::string, std::string),
  // Answers the keys of a bucket whose names match, at most 100,000.
  caf::result<std::vector<std::string>>(list_atom, std::string, std::string),
  // Sends the listener the value of bucket and key now and after every
  // change, until it goes down.
  caf::result<void>(subscribe_atom, std::string, std::string,
                    kv_listener_actor)>;

} // namespace aiops

AIOPS_LOCAL_MESSAGE_TYPE(aiops::book_listener_actor)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::breakdown_listener_actor)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::bus_listener_actor)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::bus_sink_actor)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::event_listener_actor)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::kv_listener_actor)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::lease_listener_actor)
