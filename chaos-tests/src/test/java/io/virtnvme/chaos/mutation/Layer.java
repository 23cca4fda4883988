package io.virtnvme.chaos.mutation;

import java.util.List;
import java.util.Locale;

/** The layers of tests, the cheapest first, and what of each is tried for a fault. */
enum Layer {
  /** Exhaustive crash cuts and unit tests. */
  CUTS,
  /** Seeds of the simulation, and every store of every session change. */
  SIMULATION,
  /** Tests with real processes, as a fault's entry names them. */
  PROCESSES;

  private static final String VHOST = "vhost";
  private static final String NVME = "nvme";

  /** Beginnings of the names of classes, outside of packages that say it. */
  private static final List<String> NVME_TYPES = List.of("Nvme", "ReactorAdmin", "ReactorQueues");

  private static final List<String> VHOST_TYPES =
      List.of("Split", "Packed", "CounterOrder", "RingSetups", "VhostUser");

  private static final List<String> JOURNAL =
      List.of(
          "LayoutTest",
          "RecoveryTableTest",
          "CounterOrderTest",
          "SplitInflightTest",
          "PackedInflightTest",
          "CrashCutTest",
          "NvmeJournalLayoutTest",
          "NvmeRecoveryTableTest",
          "NvmeJournalTest",
          "NvmeCrashCutTest");
  private static final List<String> RINGS =
      List.of(
          "StartTest", "NotificationTest", "InPlaceRecoveryTest", "MemoryUpdateTest", "CrashTest");
  private static final List<String> CONTROLLERS =
      List.of(
          "NvmeQueueTest",
          "NvmeCrashTest",
          "ControllerQueueTest",
          "ControllerCrashTest",
          "WholeCrashTest",
          "NvmeSessionTest");
  private static final List<String> SESSIONS =
      List.of(
          "SessionStandbyTest",
          "SessionRecordTest",
          "SessionRingTest",
          "SessionMemoryTest",
          "RepeatedMessageTest",
          "MasterLinkTest",
          "SessionsTest",
          "ReactorTest");
  private static final List<String> QPAIRS = List.of("QpairAgentTest");
  private static final List<String> MARKS = List.of("DirtyInterleavingTest", "DirtyMarksTest");
  private static final List<String> HOLDS = List.of("RateLimitsTest", "HeldDiskTest");
  private static final List<String> MASTER =
      List.of("ReplyRecoveryTest", "RelayTest", "MasterTakeoverTest", "MasterHoldTest");
  private static final List<String> DEVICES =
      List.of("NvmeControllerTest", "BadDeviceTest", "RepairTableTest", "DeviceRepairTest");
  private static final List<String> DEVICE_DISKS = List.of("NvmeBdevTest", "NvmeTakeoverTest");
  private static final List<String> DEVICE_OWNERS = List.of("DeviceCareTest", "DeviceQueuesTest");
  private static final List<String> SEGMENTS = List.of("SegmentTest");
  private static final List<String> SYSTEM =
      List.of("RobustMutexTest", "FdMessageTest", "AddressSpaceKeeperTest");
  private static final List<String> SIMULATED =
      List.of(
          "SimulationTest#shouldStaySoundWhereItOnceWasNot(long)",
          "SimulationTest#shouldSurviveDeathAtEveryStoreOfEveryChange(boolean)");
  private static final List<String> SIMULATED_NVME =
      List.of("NvmeSimulationTest#shouldStaySoundWhereItOnceWasNot(long)");

  /** As the list of faults and the report write it. */
  String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  static Layer of(final String label) {
    return valueOf(label.toUpperCase(Locale.ROOT));
  }

  /**
   * Tests of this layer that are tried for the fault, in this order: simple names of classes, or a
   * method of one as {@code Class#method(type)}.
   */
  List<List<String>> tests(final Mutation mutation) {
    return switch (this) {
      case CUTS -> cuts(mutation.file());
      case SIMULATION ->
          frontEnds(mutation).stream()
              .map(frontEnd -> frontEnd.equals(NVME) ? SIMULATED_NVME : SIMULATED)
              .toList();
      case PROCESSES -> mutation.processTests().stream().map(List::of).toList();
    };
  }

  /** Which simulations run the changed file, as {@code SimulationMain} names them. */
  static List<String> frontEnds(final Mutation mutation) {
    final String file = mutation.file();
    if (file.startsWith("master/") || file.contains("/ipc/sys/") || file.contains("/qpair/")) {
      return List.of();
    }
    final String type = mutation.className().substring(mutation.className().lastIndexOf('.') + 1);
    if (file.contains("/slave/nvme/") || NVME_TYPES.stream().anyMatch(type::startsWith)) {
      return List.of(NVME);
    }
    return file.contains("/slave/virtqueue/")
            || file.contains("/ipc/virtio/")
            || VHOST_TYPES.stream().anyMatch(type::startsWith)
        ? List.of(VHOST)
        : List.of(VHOST, NVME);
  }

  private static List<List<String>> cuts(final String file) {
    if (file.startsWith("shared-journal/")) {
      return List.of(JOURNAL, RINGS);
    }
    if (file.contains("/master/nvme/")) {
      return List.of(DEVICES);
    }
    if (file.contains("/supervisor/Device") || file.endsWith("/QuietGates.java")) {
      return List.of(DEVICE_OWNERS);
    }
    if (file.startsWith("master/")) {
      return List.of(MASTER);
    }
    if (file.contains("/slave/virtqueue/") || file.contains("/ipc/virtio/")) {
      return List.of(RINGS);
    }
    if (file.contains("/slave/nvme/") || file.endsWith("/reactor/ReactorQueues.java")) {
      return List.of(CONTROLLERS);
    }
    if (file.contains("/slave/qpair/")) {
      return List.of(QPAIRS);
    }
    if (file.endsWith("/DirtySegment.java")) {
      return List.of(MARKS);
    }
    if (file.contains("/slave/bdev/Nvme") || file.contains("/ipc/nvme/queue/")) {
      return List.of(DEVICE_DISKS);
    }
    if (file.contains("/slave/bdev/")) {
      return List.of(MARKS, HOLDS, SESSIONS);
    }
    if (file.startsWith("slave/")) {
      return file.contains("/slave/reactor/")
          ? List.of(HOLDS, SESSIONS, CONTROLLERS)
          : List.of(SESSIONS);
    }
    return file.contains("/ipc/sys/") ? List.of(SYSTEM) : List.of(SEGMENTS, SESSIONS, MASTER);
  }
}
