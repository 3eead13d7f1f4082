#pragma once

#include "base/caf_compat.hpp"

/// @file
/// The verbs of the messages. Those of CAF are used where they fit: `get`,
/// `put`, `delete`, `update`, `subscribe`, `tick`, `connect`.

CAF_BEGIN_TYPE_ID_BLOCK(aiops_gateway, first_custom_type_id)

  // Submits a watchlist for training.
  CAF_ADD_ATOM(aiops_gateway, aiops, train_atom, "train")

  // Asks for the state of the backend or of the connection to NATS.
  CAF_ADD_ATOM(aiops_gateway, aiops, status_atom, "status")

  // Asks for everything that the actor has in memory; nothing outside is asked.
  CAF_ADD_ATOM(aiops_gateway, aiops, overview_atom, "overview")

  // Asks for the workloads of the last submission.
  CAF_ADD_ATOM(aiops_gateway, aiops, watchlist_atom, "watchlist")

  // Sends a message and expects one reply.
  CAF_ADD_ATOM(aiops_gateway, aiops, request_atom, "request")

  // Asks whether something is present or due.
  CAF_ADD_ATOM(aiops_gateway, aiops, check_atom, "check")

  // About the notifications of hooks.
  CAF_ADD_ATOM(aiops_gateway, aiops, hooks_atom, "hooks")

  // Counts the log messages.
  CAF_ADD_ATOM(aiops_gateway, aiops, count_atom, "count")

  // Asks for names.
  CAF_ADD_ATOM(aiops_gateway, aiops, list_atom, "list")

  // Starts again what has ended, or continues later.
  CAF_ADD_ATOM(aiops_gateway, aiops, restart_atom, "restart")

CAF_END_TYPE_ID_BLOCK(aiops_gateway)

namespace aiops {

using caf::connect_atom;
using caf::connect_atom_v;
using caf::delete_atom;
using caf::delete_atom_v;
using caf::get_atom;
using caf::get_atom_v;
using caf::put_atom;
using caf::put_atom_v;
using caf::subscribe_atom;
using caf::subscribe_atom_v;
using caf::tick_atom;
using caf::tick_atom_v;
using caf::update_atom;
using caf::update_atom_v;

} // namespace aiops
