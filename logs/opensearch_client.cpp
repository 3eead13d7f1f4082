#include "logs/opensearch_client.hpp"

#include "logs/opensearch_page.hpp"

namespace aiops::logs {

opensearch_client::opensearch_client(const std::string& url,
                                     std::filesystem::path ca_file)
  : client_({url, std::move(ca_file), "--opensearch-ca"}) {
  // nop
}

caf::expected<opensearch_answer>
opensearch_client::post(const opensearch_request& request) {
  return client_.send({.method = "POST",
                       .target = request.target,
                       .body = request.body,
                       .user = request.user,
                       .password = request.password,
                       .max_body = request.max_body,
                       .padding = opensearch_page_reader::padding,
                       .deadline = request.deadline});
}

} // namespace aiops::logs
