"""Counts from OpenSearch, as several replicas show them."""

import unittest

from support import E2eTest, eventually


class OpenSearchHangs(E2eTest):
    def test_counts_are_kept_and_every_replica_shows_the_reason(self):
        nats = self.nats_server()
        # The count of each workload is the number of the cycle.
        opensearch = self.opensearch("--stamp", "3x10")
        self.replicas = [
            self.gateway("--log-source", "opensearch", "--opensearch-url",
                         opensearch.url, "--aggregation-lease", "1s",
                         nats=nats.url, state=f"state-{number}")
            for number in range(2)]
        self.wait_for_all(lambda x: x["clusters"] and not x["stale"],
                          "counts in all replicas")
        opensearch.suspend()
        self.wait_for_all(lambda x: x["stale"], "stale counts")
        before = self.overviews()
        for overview in before:
            self.assertEqual(len(overview["clusters"]), 3)
            self.assertIn(opensearch.url, overview["reason"])
            self.assertIsNotNone(overview["ageSeconds"])
        cluster = before[0]["clusters"][0]["id"]
        for replica in self.replicas:
            self.assertEqual(len(replica.counts(cluster)), 10)
        opensearch.resume()
        latest = max(x["clusters"][0]["logCount"] for x in before)
        self.wait_for_all(
            lambda x: not x["stale"] and not x["reason"]
            and x["clusters"][0]["logCount"] > latest, "newer counts")

    def overviews(self):
        return [x.get("/api/v1/clusters").json for x in self.replicas]

    def wait_for_all(self, check, what):
        eventually(lambda: all(check(x) for x in self.overviews()), what)


if __name__ == "__main__":
    unittest.main()
