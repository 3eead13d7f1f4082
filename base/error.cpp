#include "base/error.hpp"

#include <array>

namespace aiops {

namespace {

constexpr auto category = caf::atom("gateway");

constexpr std::array<std::string_view, 14> names = {
  "none",
  "invalid_argument",
  "not_found",
  "too_large",
  "conflict",
  "no_responders",
  "disconnected",
  "lost_in_flight",
  "overloaded",
  "timeout",
  "bad_reply",
  "refused",
  "invalid_configuration",
  "internal",
};

static_assert(names.size() == static_cast<size_t>(ec::ec_count),
              "every code needs a name");

} // namespace

bool may_have_happened(ec code) {
  // Without a default: the compiler reports a code that has no row.
  switch (code) {
    case ec::none:
      return true;
    case ec::invalid_argument:
    case ec::not_found:
    case ec::too_large:
    case ec::conflict:
    case ec::no_responders:
    case ec::disconnected:
      return false;
    case ec::lost_in_flight:
      return true;
    case ec::overloaded:
      return false;
    case ec::timeout:
    case ec::bad_reply:
      return true;
    case ec::refused:
    case ec::invalid_configuration:
      return false;
    case ec::internal:
    case ec::ec_count:
      return true;
  }
  return true;
}

std::string_view to_string(ec code) {
  auto index = static_cast<size_t>(code);
  return index < names.size() ? names[index] : "unknown";
}

caf::error make_error(ec code, std::string text) {
  return caf::error{static_cast<uint8_t>(code), category,
                    caf::make_message(std::move(text))};
}

ec code_of(const caf::error& err) {
  if (!err)
    return ec::none;
  if (err.category() == category)
    return static_cast<ec>(err.code());
  if (err == caf::sec::request_timeout)
    return ec::timeout;
  if (err == caf::sec::request_receiver_down)
    return ec::overloaded;
  return ec::internal;
}

std::string text_of(const caf::error& err) {
  if (err && err.category() == category
      && err.context().match_elements<std::string>())
    return err.context().get_as<std::string>(0);
  switch (code_of(err)) {
    case ec::timeout:
      return "no answer within the deadline";
    case ec::overloaded:
      return "this part of the gateway is restarting, try again in a moment";
    default:
      return "internal error";
  }
}

} // namespace aiops
