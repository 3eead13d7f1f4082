#pragma once

#include "config/config.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// @file
/// The table of settings. Help, files, environment, `--print-config` and the
/// documentation are made from it.

namespace aiops {

struct option {
  /// The long flag without its dashes; the key in a file.
  std::string name = {};
  /// Heading in the help.
  std::string group = {};
  /// What the value is, in upper case; empty for a switch.
  std::string placeholder = {};
  std::string help = {};
  /// The form of a value; part of a sentence.
  std::string expected = {};
  /// Stores a value; false if the text is not valid.
  std::function<bool(gateway_config&, const std::string&)> set = {};
  /// The value as text, in the form that `set` reads.
  std::function<std::string(const gateway_config&)> get = {};
  /// Why the stored value cannot be used, with the remedy; empty if it can.
  std::function<std::string(const gateway_config&)> check = {};
  /// A second variable that sets it; the name is used by other programs.
  std::string known_as = {};
  /// Whether the value is a list of URLs that may hold passwords.
  bool holds_passwords = false;
  /// Whether the part after the host of the URL may be a secret.
  bool secret_path = false;
  /// The default in words if it depends on the environment.
  std::string default_words = {};

  /// `AIOPS_GATEWAY_…`, the variable that sets it.
  std::string environment() const;

  /// The flag with its placeholder.
  std::string flag() const;

  /// The default as the help shows it; empty when there is none.
  std::string default_value() const;
};

const std::vector<option>& all_options();

} // namespace aiops
