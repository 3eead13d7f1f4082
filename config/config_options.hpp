#pragma once

#include "config/config.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// @file
/// The one table of settings. Help, files, environment, `--print-config` and
/// the test of the documentation all go by it.

namespace aiops {

struct option {
  /// The long flag without its dashes; the key in a file.
  std::string name = {};
  /// Heading in the help.
  std::string group = {};
  /// What the value is, in upper case; empty for a switch.
  std::string placeholder = {};
  std::string help = {};
  /// What a value has to look like; part of a sentence.
  std::string expected = {};
  /// Stores a value; false when the text is none.
  std::function<bool(gateway_config&, const std::string&)> set = {};
  /// The value as text that `set` takes.
  std::function<std::string(const gateway_config&)> get = {};
  /// Why the stored value cannot be used, with the remedy; empty when it can.
  std::function<std::string(const gateway_config&)> check = {};
  /// A second variable that sets it, by which others know it.
  std::string known_as = {};
  /// Whether the value is a list of URLs that may hold passwords.
  bool holds_passwords = false;
  /// Whether what follows the host of the URL may be one too.
  bool secret_path = false;
  /// The default in words when the environment decides it.
  std::string default_words = {};

  /// `AIOPS_GATEWAY_…`, the variable that sets it.
  std::string environment() const;

  /// The default as the help shows it; empty when there is none.
  std::string default_value() const;
};

const std::vector<option>& all_options();

} // namespace aiops
