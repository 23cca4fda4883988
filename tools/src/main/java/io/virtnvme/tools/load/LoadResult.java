package io.virtnvme.tools.load;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * What a load client found.
 *
 * @param ios requests completed
 * @param errors requests that ended with an error, blocks with wrong data, completions of requests
 *     that were not in flight
 * @param deviceErrors requests to the broken part that ended with an error, as they must
 * @param verifiedBlocks blocks read and found right, counted each time
 * @param readBackBlocks blocks of the whole disk found right at the end
 * @param blockCount blocks of the disk
 * @param takeovers latencies of the first requests after each kill: {@link TakeoverLatencies}
 * @param message the first thing that was wrong; empty when nothing was
 */
record LoadResult(
    long ios,
    long bytes,
    long errors,
    long deviceErrors,
    long verifiedBlocks,
    long overlappedBlocks,
    long readBackBlocks,
    int blockCount,
    long p50LatencyNs,
    long p99LatencyNs,
    long maxLatencyNs,
    long reconnects,
    ObjectNode takeovers,
    String message) {
  boolean isSound() {
    return errors == 0 && readBackBlocks == blockCount && message.isEmpty();
  }

  ObjectNode toJson() {
    return JsonNodeFactory.instance
        .objectNode()
        .put("ios", ios)
        .put("bytes", bytes)
        .put("errors", errors)
        .put("deviceErrors", deviceErrors)
        .put("verifiedBlocks", verifiedBlocks)
        .put("overlappedBlocks", overlappedBlocks)
        .put("readBackBlocks", readBackBlocks)
        .put("blockCount", blockCount)
        .put("p50LatencyNs", p50LatencyNs)
        .put("p99LatencyNs", p99LatencyNs)
        .put("maxLatencyNs", maxLatencyNs)
        .put("reconnects", reconnects)
        .put("sound", isSound())
        .put("message", message)
        .set("takeoverLatencyUs", takeovers);
  }
}
