#include "tests/gpu/api_server.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <unistd.h>

namespace aiops::test {

scratch_dir::scratch_dir() {
  auto pattern
    = (std::filesystem::temp_directory_path() / "kubernetes-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    throw std::runtime_error{"no directory for the test"};
  dir_ = pattern;
}

scratch_dir::~scratch_dir() {
  std::filesystem::remove_all(dir_);
}

std::filesystem::path scratch_dir::write(const std::string& file,
                                         const std::string& text) const {
  std::ofstream{dir_ / "new", std::ios::binary} << text;
  std::filesystem::rename(dir_ / "new", dir_ / file);
  return dir_ / file;
}

std::string content_of(const std::filesystem::path& file) {
  std::ostringstream result;
  result << std::ifstream{file, std::ios::binary}.rdbuf();
  return result.str();
}

const scratch_dir& certificates() {
  static const scratch_dir result;
  static const auto made = [] {
    auto line = "cd '" + result.path().string() + "' && (" + R"(set -e
new="openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
for ca in ca other; do
  $new -x509 -days 2 -subj "/CN=$ca" -keyout $ca.key -out $ca.pem
done
openssl base64 -A -in ca.pem -out ca.b64
for who in server client; do
  $new -subj "/CN=$who" -keyout $who.key -out $who.csr
  echo "subjectAltName=IP:127.0.0.1,IP:::1" > $who.ext
  openssl x509 -req -days 2 -in $who.csr -CA ca.pem -CAkey ca.key \
    -CAcreateserial -extfile $who.ext -out $who.pem
done
) > log 2>&1)";
    return std::system(line.c_str()) == 0;
  }();
  if (!made)
    throw std::runtime_error{"openssl cannot make certificates: "
                             + content_of(result / "log")};
  return result;
}

std::string node_json(const std::string& name, const std::string& resources,
                      const std::string& labels, const std::string& spec,
                      bool ready) {
  return R"({"metadata":{"name":")" + name + R"(","labels":{)" + labels
         + R"(}},"spec":)" + spec + R"(,"status":{"capacity":{)" + resources
         + R"(},"allocatable":{)" + resources
         + R"(},"conditions":[{"type":"MemoryPressure","status":"False"},)"
         + R"({"type":"Ready","status":")" + (ready ? "True" : "Unknown")
         + R"("}]}})";
}

std::string pod_json(const std::string& name, const std::string& node,
                     const std::string& resource, int64_t amount,
                     const std::string& phase) {
  return R"({"metadata":{"name":")" + name + R"("},"spec":{"nodeName":")" + node
         + R"(","containers":[{"name":"a","resources":{"requests":{"cpu":"1",")"
         + resource + R"(":")" + std::to_string(amount)
         + R"("}}}]},"status":{"phase":")" + phase + R"("}})";
}

std::string list_json(const std::string& items, const std::string& next) {
  return R"({"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1")"
         + (next.empty() ? "" : R"(,"continue":")" + next + '"')
         + R"(},"items":[)" + items + "]}";
}

api_server::api_server(const std::filesystem::path& client_ca) {
  auto& files = certificates();
  server_ = std::make_unique<httplib::SSLServer>(
    (files / "server.pem").c_str(), (files / "server.key").c_str(),
    client_ca.empty() ? nullptr : client_ca.c_str());
  server_->new_task_queue = [] { return new httplib::ThreadPool(4); };
  server_->set_tcp_nodelay(true);
  server_->set_keep_alive_max_count(100'000);
  handler_ = [this](auto& request, auto& response) { list(request, response); };
  server_->Get(".*", [this](auto& request, auto& response) {
    handler how;
    {
      std::lock_guard guard{mutex_};
      requests_.push_back(request.target);
      how = handler_;
    }
    how(request, response);
  });
  port_ = server_->bind_to_any_port("127.0.0.1");
  if (port_ <= 0)
    throw std::runtime_error{"no port for the API server"};
  thread_ = std::thread{[this] { server_->listen_after_bind(); }};
  while (!server_->is_running())
    std::this_thread::yield();
}

api_server::~api_server() {
  {
    std::lock_guard guard{mutex_};
    ending_ = true;
  }
  ended_.notify_all();
  server_->stop();
  thread_.join();
}

std::string api_server::url() const {
  return "https://127.0.0.1:" + std::to_string(port_);
}

void api_server::serve(size_t nodes, std::function<std::string(size_t)> node,
                       size_t pods, std::function<std::string(size_t)> pod) {
  nodes_ = {nodes, std::move(node)};
  pods_ = {pods, std::move(pod)};
}

void api_server::serve_runtime_classes(std::vector<std::string> names) {
  auto size = names.size();
  runtime_classes_ = {size, [names = std::move(names)](size_t i) {
                        return R"({"metadata":{"name":")" + names[i]
                               + R"("},"handler":"x"})";
                      }};
}

void api_server::on_request(handler how) {
  std::lock_guard guard{mutex_};
  handler_ = std::move(how);
}

void api_server::list(const httplib::Request& request,
                      httplib::Response& response) {
  auto found = request.path == "/api/v1/nodes"  ? &nodes_
               : request.path == "/api/v1/pods" ? &pods_
               : request.path == "/apis/node.k8s.io/v1/runtimeclasses"
                 ? &runtime_classes_
                 : nullptr;
  if (!found) {
    response.status = 404;
    return;
  }
  auto& from = *found;
  auto next = request.get_param_value("continue");
  size_t i = next.empty() ? 0 : std::stoul(next.substr(next.find('/') + 1));
  auto end = std::min(from.size,
                      i + std::stoul(request.get_param_value("limit")));
  std::string items;
  for (; i < end; ++i)
    items += (items.empty() ? "" : ",") + from.item(i);
  // A token may hold what a URL may not.
  auto more = end < from.size ? "a+b=/" + std::to_string(end) : "";
  response.set_content(list_json(items, more), "application/json");
}

bool api_server::pause(std::chrono::milliseconds time) {
  std::unique_lock guard{mutex_};
  return !ended_.wait_for(guard, time, [this] { return ending_; });
}

std::vector<std::string> api_server::requests() const {
  std::lock_guard guard{mutex_};
  return requests_;
}

} // namespace aiops::test
