package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.master.nvme.HostPaths;
import io.virtnvme.master.relay.DescriptorStore;
import java.nio.file.Path;
import java.util.List;
import java.util.function.LongSupplier;

/**
 * What the supervisor must know; concluded and checked by the master's context. Times are durations
 * in nanoseconds.
 *
 * @param runDirectory absolute
 * @param segments of this instance
 * @param seats cores of each seat, -1 = not pinned
 * @param standbyCount warm slaves to keep
 * @param slaveCommand starts a slave; {@code --slave-of DIR} is appended
 * @param idleSpinNs how long a reactor without work spins before it sleeps
 * @param serviceNsMin a slave that owned a seat for less counts as a failure
 * @param failuresMax failures in a row until a seat is given up
 * @param restartDelayNs pause before the second restart in a row; doubles
 * @param restartDelayNsMax longest pause
 * @param takeoverNsMax a standby must have taken a dead slave's seat by then
 * @param standbyStartDelayNs pause between a takeover and the start of the next standby
 * @param adoptionNsMax living slaves of a dead master must have connected by then
 * @param hangNsMax a polling reactor without a heartbeat for so long hangs; 0 = never
 * @param stuckNsMax a slave that reads no message for so long is killed
 * @param answerNsMax a slave must have answered a request about a bdev by then
 * @param stopNsMax a slave told to end must have ended by then
 * @param processes the operating system's
 * @param nanoClock monotonic
 * @param version of this build
 * @param descriptorStore keeps what no slave can hand back
 * @param hostPaths where the kernel shows its devices
 */
public record SupervisorConfig(
    Path runDirectory,
    SegmentDirectory segments,
    List<List<Integer>> seats,
    int standbyCount,
    List<String> slaveCommand,
    long idleSpinNs,
    long serviceNsMin,
    int failuresMax,
    long restartDelayNs,
    long restartDelayNsMax,
    long takeoverNsMax,
    long standbyStartDelayNs,
    long adoptionNsMax,
    long hangNsMax,
    long stuckNsMax,
    long answerNsMax,
    long stopNsMax,
    ProcessTable processes,
    LongSupplier nanoClock,
    String version,
    DescriptorStore descriptorStore,
    HostPaths hostPaths) {
  public SupervisorConfig {
    seats = List.copyOf(seats);
    slaveCommand = List.copyOf(slaveCommand);
  }
}
