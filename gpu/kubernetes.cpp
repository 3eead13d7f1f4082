#include "gpu/kubernetes.hpp"

#include "base/log.hpp"

#include <nlohmann/json.hpp>

#include <exception>
#include <set>
#include <utility>

namespace aiops::gpu {

namespace {

/// How often a list may be started.
constexpr auto max_starts = 4;

/// Far more pages than any cluster has: bounds a list without end.
constexpr auto max_pages = 100'000;

/// Longest message of the server that is passed on, in bytes.
constexpr size_t max_message = 200;

constexpr auto ok = 200;
constexpr auto unauthorized = 401;
constexpr auto forbidden = 403;
constexpr auto gone = 410;

std::string encode(std::string_view text) {
  static constexpr auto digits = "0123456789ABCDEF";
  std::string result;
  for (unsigned char c : text) {
    auto plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
                 || (c >= 'a' && c <= 'z') || c == '-' || c == '_' || c == '.';
    if (plain)
      result += static_cast<char>(c);
    else
      result += {'%', digits[c >> 4], digits[c & 15]};
  }
  return result;
}

/// The server's message in a refusal; empty when none is readable.
std::string message_of(std::string_view body) {
  if (body.size() > 64 * 1024)
    return {};
  auto answer = nlohmann::json::parse(body, nullptr, false);
  if (!answer.is_object() || !answer.contains("message")
      || !answer["message"].is_string())
    return {};
  std::string result;
  for (unsigned char c : answer["message"].get_ref<const std::string&>()) {
    if (result.size() >= max_message)
      break;
    result += c >= ' ' && c < 127 ? static_cast<char>(c) : '?';
  }
  return result;
}

} // namespace

gpu_probe_actor::behavior_type
kubernetes_state::make_behavior(kubernetes_probe_config config) {
  config_ = std::move(config);
  return {
    [this](get_atom) { return get(&kubernetes_state::scan_gpus); },
    [this](list_atom) { return get(&kubernetes_state::scan_runtime_classes); },
  };
}

template <class T>
caf::result<T>
kubernetes_state::get(caf::expected<T> (kubernetes_state::*scan)()) {
  auto result = [&]() -> caf::expected<T> {
    try {
      deadline_ = clock::now() + config_.deadline;
      if (auto problem = prepare())
        return problem;
      return (this->*scan)();
    } catch (const std::exception& e) {
      return make_error(ec::internal,
                        std::string{"cannot query Kubernetes: "} + e.what());
    }
  }();
  // Pages are far larger than what is kept between two scans.
  for (auto kind :
       {list_kind::nodes, list_kind::pods, list_kind::runtime_classes})
    clear(kind);
  inventory_.release();
  if (client_)
    client_->release();
  if (!result)
    return std::move(result.error());
  return std::move(*result);
}

caf::expected<gpu_list> kubernetes_state::scan_gpus() {
  if (auto problem = list(list_kind::nodes))
    return problem;
  report_unreadable();
  if (!inventory_.empty())
    if (auto problem = list(list_kind::pods))
      return problem;
  report_unreadable();
  return inventory_.result();
}

caf::expected<std::vector<std::string>>
kubernetes_state::scan_runtime_classes() {
  if (auto problem = list(list_kind::runtime_classes))
    return problem;
  auto& names = inventory_.runtime_classes();
  return std::vector<std::string>(names.begin(), names.end());
}

// -- credentials --------------------------------------------------------------

std::vector<file_stamp> kubernetes_state::stamps() const {
  std::vector<file_stamp> result;
  if (access_)
    for (auto& file : access_->files)
      result.push_back(stamp_of(file));
  return result;
}

caf::error kubernetes_state::prepare() {
  if (!client_ || stamps() != stamps_) {
    client_.reset();
    auto access = find_kubernetes_access(config_.server);
    if (!access)
      return std::move(access.error());
    access_ = std::move(*access);
    // Before the files are read: the next scan notices a change in between.
    stamps_ = stamps();
    token_ = access_->token;
    token_stamp_ = {};
    client_ = std::make_unique<net::http_client>(net::http_client_config{
      access_->url, access_->ca_file, access_->ca_option, access_->cert_file,
      access_->key_file});
  }
  return read_token(false);
}

caf::error kubernetes_state::read_token(bool always) {
  if (access_->token_file.empty())
    return {};
  auto now = stamp_of(access_->token_file);
  if (!always && !token_.empty() && token_stamp_ == now)
    return {};
  auto token = read_kubernetes_token(access_->token_file);
  if (!token)
    return std::move(token.error());
  token_ = std::move(*token);
  token_stamp_ = now;
  return {};
}

// -- lists --------------------------------------------------------------------

std::string_view kubernetes_state::name_of(list_kind kind) {
  switch (kind) {
    case list_kind::nodes:
      return "nodes";
    case list_kind::pods:
      return "pods";
    default:
      return "runtime classes";
  }
}

std::string kubernetes_state::first_page(list_kind kind) const {
  auto limit = "limit=" + std::to_string(config_.page_size);
  switch (kind) {
    case list_kind::nodes:
      return "/api/v1/nodes?" + limit;
    case list_kind::pods:
      return "/api/v1/pods?fieldSelector="
             + encode("status.phase!=Succeeded,status.phase!=Failed") + "&"
             + limit;
    default:
      return "/apis/node.k8s.io/v1/runtimeclasses?" + limit;
  }
}

void kubernetes_state::clear(list_kind kind) {
  switch (kind) {
    case list_kind::nodes:
      return inventory_.clear_nodes();
    case list_kind::pods:
      return inventory_.clear_pods();
    default:
      return inventory_.clear_runtime_classes();
  }
}

caf::expected<std::string> kubernetes_state::add(list_kind kind,
                                                 std::string_view page) {
  switch (kind) {
    case list_kind::nodes:
      return inventory_.add_nodes(page);
    case list_kind::pods:
      return inventory_.add_pods(page);
    default:
      return inventory_.add_runtime_classes(page);
  }
}

caf::error kubernetes_state::list(list_kind kind) {
  auto first = first_page(kind);
  auto starts = 0;
  std::string next;
  for (auto page = 0; page < max_pages; ++page) {
    if (next.empty()) {
      if (++starts > max_starts)
        break;
      clear(kind);
    }
    auto answer = ask(first
                      + (next.empty() ? "" : "&continue=" + encode(next)));
    if (!answer)
      return std::move(answer.error());
    if (answer->status == gone && !next.empty()) {
      next.clear();
      continue;
    }
    if (answer->status == forbidden && kind == list_kind::pods) {
      inventory_.clear_pods();
      report_pods(false);
      return {};
    }
    if (answer->status != ok)
      return refusal(kind, *answer);
    auto after = add(kind, answer->body);
    if (!after)
      return std::move(after.error());
    if (after->empty()) {
      if (kind == list_kind::pods)
        report_pods(true);
      return {};
    }
    if (*after == next)
      return make_error(ec::bad_reply, access_->url + " repeats the same page");
    next = std::move(*after);
  }
  return make_error(ec::bad_reply, access_->url
                                     + " did not end its list; its pages "
                                       "expire before they are read");
}

caf::expected<net::outbound_answer>
kubernetes_state::ask(const std::string& target) {
  auto answer = send(target);
  if (!answer || answer->status != unauthorized || access_->token_file.empty())
    return answer;
  auto refused = token_;
  if (auto problem = read_token(true))
    return problem;
  return token_ == refused ? answer : send(target);
}

caf::expected<net::outbound_answer>
kubernetes_state::send(const std::string& target) {
  net::outbound_request request{.target = target,
                                .bearer_token = token_,
                                .max_body = config_.max_page,
                                .padding = kubernetes_inventory::padding,
                                .deadline = deadline_};
  auto answer = client_->send(request);
  // The server may have closed the idle connection at the same moment.
  if (!answer && code_of(answer.error()) == ec::bad_reply)
    answer = client_->send(request);
  return answer;
}

caf::error kubernetes_state::refusal(list_kind kind,
                                     const net::outbound_answer& answer) const {
  auto text = access_->url + " refused to list " + std::string{name_of(kind)}
              + " (" + std::to_string(answer.status) + ")";
  if (auto message = message_of(answer.body); !message.empty())
    text += ": " + message;
  if (answer.status == unauthorized)
    text += "; give a token or a client certificate that it accepts";
  else if (answer.status == forbidden)
    text += "; apply packaging/kubernetes/rbac.yaml";
  return make_error(ec::refused, std::move(text));
}

// -- reports ------------------------------------------------------------------

void kubernetes_state::report_pods(bool listed) {
  if (!listed && !pods_refused_)
    log::warning(name, "may not list pods, so it is unknown which GPUs are "
                       "free; apply packaging/kubernetes/rbac.yaml");
  else if (listed && pods_refused_)
    log::info(name, "may list pods again");
  pods_refused_ = !listed;
}

void kubernetes_state::report_unreadable() {
  for (auto& quantity : inventory_.unreadable())
    if (reported_.size() < 100 && reported_.insert(quantity).second)
      log::warning(name, "counts an unreadable quantity as 0",
                   {{"quantity", quantity}});
}

gpu_probe_actor::behavior_type
kubernetes(gpu_probe_actor::stateful_pointer<kubernetes_state> self,
           kubernetes_probe_config config) {
  return self->state.make_behavior(std::move(config));
}

} // namespace aiops::gpu
