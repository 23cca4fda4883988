package io.virtnvme.master.nvme;

import io.virtnvme.ipc.nvme.Cns;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.nvme.IdentifyController;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.ipc.nvme.device.DeviceMemory;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.SysException;
import java.util.List;
import java.util.function.LongSupplier;

/**
 * An NVMe controller from power-on to shutdown, as NVM Express base specification 2.0, 3.5 and 3.6
 * order it. Methods wait for the device, each for a bounded time; one thread. The state may be read
 * by any.
 *
 * <p>When a method throws, the state is either as before (the controller refused a command) or
 * {@link ControllerState#FAILED}, with the reason.
 */
final class NvmeController implements AutoCloseable {
  private static final long NS_PER_MS = 1_000_000;
  private static final long READY_UNIT_NS = 500 * NS_PER_MS;
  private static final long READY_UNITS_MASK = 0xFF;
  private static final int CRTO_UNITS_MASK = 0xFFFF;

  /** CAP.TO can say 127.5 s; CRTO can say 9 hours, which nobody means. */
  private static final long READY_NS_MAX = 300_000 * NS_PER_MS;

  private static final long SHUTDOWN_NS_MIN = 5_000 * NS_PER_MS;
  private static final long SHUTDOWN_NS_MAX = 60_000 * NS_PER_MS;

  /** CAP.CSS bit 6: the command sets that identify data name. */
  private static final long CAP_CSS_SEVERAL = 1L << 43;

  private final NvmePort port;
  private final RegisterAccess access;
  private final int queueCountWanted;
  private volatile long adminTimeoutNs;
  private final NvmeDevice.Listener listener;
  private final DeviceMemory memory;
  private final long memoryIova;
  private AdminQueue admin;
  private long capabilities;
  private volatile ControllerIdentity identity;
  private volatile List<NamespaceIdentity> namespaces = List.of();
  private volatile int queueCount;
  private boolean isEnabled;
  private volatile ControllerState state = ControllerState.DISABLING;
  private volatile String reason = "";
  private volatile Trouble trouble = Trouble.NONE;

  /**
   * A controller that was not touched yet. Takes over the port, also when it throws.
   *
   * @param queueCountWanted I/O queue pairs to ask for
   * @param adminTimeoutNs limit of one admin command
   * @param pause called between two looks at the device
   */
  NvmeController(
      final NvmePort port,
      final int queueCountWanted,
      final long adminTimeoutNs,
      final LongSupplier nanoClock,
      final Runnable pause,
      final NvmeDevice.Listener listener) {
    this.port = port;
    this.queueCountWanted = queueCountWanted;
    this.adminTimeoutNs = adminTimeoutNs;
    this.listener = listener;
    access = new RegisterAccess(port.registers(), nanoClock, pause);
    DeviceMemory made = null;
    try {
      made = DeviceMemory.create("nvme-admin", AdminQueue.MEMORY_LENGTH);
      memoryIova = map(port, made);
      memory = made;
    } catch (final RuntimeException e) {
      if (made != null) {
        made.close();
      }
      port.close();
      throw e instanceof SysException failed
          ? new NvmeDeviceException(failed.errno(), failed.getMessage(), failed)
          : e;
    }
  }

  private static long map(final NvmePort port, final DeviceMemory memory) {
    while (true) {
      final long iova = port.iovas().take(memory.lengthBytes(), PrpEntry.PAGE_BYTES);
      try {
        port.dma().map(memory.address(), iova, memory.lengthBytes());
        return iova;
      } catch (final SysException e) {
        // A master before this one has mapped something there, which the device may still use.
        if (e.errno() != Errno.EEXIST) {
          throw e;
        }
      }
    }
  }

  ControllerState state() {
    return state;
  }

  /** Why it is in this state; empty when there is nothing to say. */
  String reason() {
    return reason;
  }

  /** What failed it; {@link Trouble#NONE} when it is not {@link ControllerState#FAILED}. */
  Trouble trouble() {
    return trouble;
  }

  /** What it is; null until it was ready once. */
  ControllerIdentity identity() {
    return identity;
  }

  /** Its active namespaces, also those that cannot be used. */
  List<NamespaceIdentity> namespaces() {
    return namespaces;
  }

  /** I/O queue pairs that may be created: ids 1 to this. */
  int queueCount() {
    return queueCount;
  }

  /** Entries of an I/O queue at most. */
  int entryCountMax() {
    return (int) (capabilities & ControllerRegisters.CAP_MQES_MASK) + 1;
  }

  /** Bytes between two doorbells. */
  int doorbellStrideBytes() {
    return Integer.BYTES
        << ((capabilities >>> ControllerRegisters.CAP_DSTRD_SHIFT)
            & ControllerRegisters.CAP_DSTRD_MASK);
  }

  /** Queue pairs, the admin queue's with them, that BAR0 has doorbells for. */
  private long doorbellPairCount() {
    // Offsets are ints here: what lies behind 2 GiB of doorbells is not used.
    final long end = Math.min(port.registersLengthBytes(), Integer.MAX_VALUE);
    return (end - Doorbells.BASE_OFFSET) / (2L * doorbellStrideBytes());
  }

  private void become(final ControllerState next, final String why) {
    become(next, Trouble.NONE, why);
  }

  private void become(final ControllerState next, final Trouble kind, final String why) {
    if (!state.mayBecome(next)) {
      throw new IllegalStateException("no step from " + state + " to " + next + ": " + why);
    }
    final ControllerState before = state;
    reason = why;
    trouble = kind;
    state = next;
    listener.onState(before, next, why);
  }

  private NvmeDeviceException failed(final NvmeDeviceException failure) {
    become(ControllerState.FAILED, failure.trouble(), failure.getMessage());
    return failure;
  }

  /** Takes steps, each of which must go well: else the controller is failed. */
  private void failing(final Runnable steps) {
    try {
      steps.run();
    } catch (final NvmeDeviceException e) {
      throw failed(e);
    }
  }

  /**
   * Brings it up, whatever it was doing.
   *
   * @throws NvmeDeviceException when it does not come up; it is {@link ControllerState#FAILED} then
   */
  void start() {
    failing(
        () -> {
          disable();
          enable();
          identify();
          become(ControllerState.READY, "");
        });
  }

  /**
   * Stops it at once and brings it up again. Its I/O queues are gone then, what was in flight is
   * neither done nor undone.
   *
   * @param why for the log
   */
  void reset(final String why) {
    if (state != ControllerState.READY
        && state != ControllerState.ADOPTED
        && state != ControllerState.FAILED) {
      throw new NvmeDeviceException(Errno.EBUSY, "cannot be reset while it is " + state.label());
    }
    become(ControllerState.DISABLING, why);
    start();
  }

  /**
   * Takes over a controller that a process before this one has brought up and whose I/O queues are
   * in use. Its admin queue is lost, so there are no commands before a {@link #reset}.
   *
   * @throws NvmeDeviceException when it does not run; it is {@link ControllerState#FAILED} then
   */
  void adopt() {
    isEnabled = true;
    failing(
        () -> {
          capabilities = access.capabilities();
          requireRunning();
          become(
              ControllerState.ADOPTED,
              "its admin queue ended with the master before; a reset helps");
        });
  }

  private void disable() {
    capabilities = access.capabilities();
    requireUsable();
    final long limitNs = readyTimeoutNs();
    final int configuration = access.configuration();
    if ((configuration & ControllerRegisters.CC_EN) != 0) {
      // 3.1.3.5: CC.EN is not to be cleared before CSTS.RDY has followed it. One that is broken, or
      // never gets ready, is stopped all the same.
      if ((access.status() & ControllerRegisters.CSTS_CFS) == 0) {
        access.awaitReady(true, limitNs);
      }
      access.configuration(configuration & ~ControllerRegisters.CC_EN);
    }
    if (!access.awaitReady(false, limitNs)) {
      throw access.late(Trouble.CONTROLLER, "the controller does not stop", limitNs);
    }
    isEnabled = false;
  }

  private void requireUsable() {
    final long mpsMin =
        (capabilities >>> ControllerRegisters.CAP_MPSMIN_SHIFT) & ControllerRegisters.CAP_MPS_MASK;
    if (mpsMin != 0) {
      throw new NvmeDeviceException(
          Errno.EIO,
          "its smallest page has "
              + ((long) PrpEntry.PAGE_BYTES << mpsMin)
              + " bytes; 4096 is needed");
    }
    final long commandSets = ControllerRegisters.CAP_CSS_NVM | CAP_CSS_SEVERAL;
    if ((capabilities & commandSets) == 0) {
      throw new NvmeDeviceException(
          Errno.EIO,
          "it does not know the NVM command set: CAP=0x" + Long.toHexString(capabilities));
    }
    if (entryCountMax() < 2) {
      throw new NvmeDeviceException(Errno.EIO, "its queues cannot have 2 entries: CAP.MQES=0");
    }
    if (doorbellPairCount() < 2) {
      throw new NvmeDeviceException(
          Errno.EIO,
          "BAR0 has no room for its doorbells: stride="
              + doorbellStrideBytes()
              + " bytes="
              + port.registersLengthBytes());
    }
  }

  /** CAP.TO, or CRTO.CRWMT where the controller has it; at least one unit. */
  private long readyTimeoutNs() {
    long units = (capabilities >>> ControllerRegisters.CAP_TO_SHIFT) & READY_UNITS_MASK;
    if ((capabilities & ControllerRegisters.CAP_CRWMS) != 0) {
      units = Math.max(units, access.readyTimeouts() & CRTO_UNITS_MASK);
    }
    return Math.min(READY_NS_MAX, Math.max(1, units) * READY_UNIT_NS);
  }

  private void enable() {
    become(ControllerState.ENABLING, "");
    admin = new AdminQueue(access, memory.address(), memoryIova, doorbellStrideBytes());
    admin.announce();
    final int commandSet =
        (capabilities & CAP_CSS_SEVERAL) == 0
            ? ControllerRegisters.CC_CSS_NVM
            : ControllerRegisters.CC_CSS_ALL;
    isEnabled = true;
    // Page size 4096 and round robin are zeroes.
    access.configuration(
        ControllerRegisters.CC_EN
            | (commandSet << ControllerRegisters.CC_CSS_SHIFT)
            | (SubmissionEntry.ENTRY_SHIFT << ControllerRegisters.CC_IOSQES_SHIFT)
            | (CompletionEntry.ENTRY_SHIFT << ControllerRegisters.CC_IOCQES_SHIFT));
    final long limitNs = readyTimeoutNs();
    final long startNs = access.nanoTime();
    while ((access.healthyStatus() & ControllerRegisters.CSTS_RDY) == 0) {
      if (access.nanoTime() - startNs > limitNs) {
        throw access.late(Trouble.CONTROLLER, "the controller does not get ready", limitNs);
      }
      access.pause();
    }
  }

  private void identify() {
    become(ControllerState.IDENTIFYING, "");
    final IdentifyPhase phase = new IdentifyPhase(access, admin, adminTimeoutNs);
    final ControllerIdentity found = phase.controller();
    if (identity != null && !identity.serial().equals(found.serial())) {
      throw new NvmeDeviceException(
          Errno.ENODEV,
          "it is another device now: serial="
              + found.serial()
              + " before="
              + identity.serial()
              + "; detach it");
    }
    identity = found;
    namespaces = phase.namespaces(found.namespaceIdMax());
    queueCount = (int) Math.min(phase.grantedQueues(queueCountWanted), doorbellPairCount() - 1);
  }

  private void requireReady() {
    if (state != ControllerState.READY) {
      throw new NvmeDeviceException(
          Errno.EBUSY,
          "it takes no commands while it is "
              + state.label()
              + (reason.isEmpty() ? "" : ": " + reason));
    }
  }

  /** A command in {@link ControllerState#READY}; one that breaks the controller says so. */
  private int command(final AdminCommand command) {
    requireReady();
    try {
      return admin.execute(command, adminTimeoutNs);
    } catch (final NvmeDeviceException e) {
      throw e.status() == 0 ? failed(e) : e;
    }
  }

  /**
   * Looks whether a ready controller still is.
   *
   * @throws NvmeDeviceException when it is gone or reports a fatal error
   */
  void check() {
    if (state == ControllerState.READY || state == ControllerState.ADOPTED) {
      failing(this::requireRunning);
    }
  }

  private void requireRunning() {
    final int status = access.healthyStatus();
    if ((status & ControllerRegisters.CSTS_RDY) == 0) {
      throw new NvmeDeviceException(
          Errno.EIO, "it was reset behind our back: CSTS=0x" + Integer.toHexString(status));
    }
  }

  /** Whether there is anything behind the registers; in any state. */
  boolean answers() {
    return access.answers();
  }

  /**
   * Asks it to give up an I/O command.
   *
   * @return whether it says that it did; the command has a completion then
   */
  boolean abort(final int queueId, final int commandId) {
    return (command(AdminCommand.abort(queueId, commandId)) & 1) == 0;
  }

  /** Its health log, fresh. */
  HealthLog health() {
    requireReady();
    command(AdminCommand.healthLog(admin.dataIova()));
    return HealthLog.parse(admin.data());
  }

  /** Limit of one admin command from now on. */
  void adminTimeoutNs(final long limitNs) {
    adminTimeoutNs = limitNs;
  }

  /**
   * A part of a log page, fresh.
   *
   * @throws NvmeDeviceException EOPNOTSUPP when the controller reads the beginning of pages only;
   *     with its status when it refuses
   */
  byte[] logPage(final LogRequest request) {
    requireReady();
    final boolean isBeginning =
        request.offsetBytes() == 0 && request.lengthBytes() <= PrpEntry.PAGE_BYTES;
    if (!isBeginning
        && (identifyData()[IdentifyController.LOG_PAGE_ATTRIBUTES_OFFSET]
                & IdentifyController.LPA_EXTENDED)
            == 0) {
      throw new NvmeDeviceException(
          Errno.EOPNOTSUPP,
          "it reads log pages from their beginning only, 4096 bytes at most (LPA)");
    }
    final byte[] page = new byte[request.lengthBytes()];
    for (int done = 0; done < page.length; done += PrpEntry.PAGE_BYTES) {
      final int part = Math.min(PrpEntry.PAGE_BYTES, page.length - done);
      command(AdminCommand.logPage(request, request.offsetBytes() + done, part, admin.dataIova()));
      System.arraycopy(admin.data(), 0, page, done, part);
    }
    return page;
  }

  /** The 4096 bytes of Identify Controller, fresh. */
  byte[] identifyData() {
    requireReady();
    command(AdminCommand.identify(Cns.CONTROLLER, 0, admin.dataIova()));
    return admin.data();
  }

  /**
   * Creates an I/O queue pair; its memory is mapped for DMA.
   *
   * @throws NvmeDeviceException when an argument is out of what the controller has, or it refuses;
   *     neither queue is there then
   */
  void createQueuePair(final QueuePairAddress pair) {
    if (pair.queueId() < 1
        || pair.queueId() > queueCount
        || pair.entryCount() < 2
        || pair.entryCount() > entryCountMax()) {
      throw new NvmeDeviceException(
          Errno.EINVAL,
          "it has no such queue: id="
              + pair.queueId()
              + " of 1.."
              + queueCount
              + " entries="
              + pair.entryCount()
              + " of 2.."
              + entryCountMax());
    }
    command(AdminCommand.createCq(pair));
    try {
      command(AdminCommand.createSq(pair));
    } catch (final NvmeDeviceException e) {
      if (state == ControllerState.READY) {
        command(AdminCommand.deleteCq(pair.queueId()));
      }
      throw e;
    }
  }

  /** Deletes both queues; commands in them are aborted. */
  void deleteQueuePair(final int queueId) {
    command(AdminCommand.deleteSq(queueId));
    command(AdminCommand.deleteCq(queueId));
  }

  /** Where BAR0 has the tail doorbell of a submission queue; the head's comes a stride later. */
  int tailDoorbellOffset(final int queueId) {
    return Doorbells.BASE_OFFSET + 2 * queueId * doorbellStrideBytes();
  }

  /**
   * Tells the controller to write its cache and stop, and stops it (3.6.1); does nothing with one
   * that is not ready.
   *
   * @throws NvmeDeviceException when it does not say in time that it has done so
   */
  void shutDown() {
    if (state != ControllerState.READY && state != ControllerState.ADOPTED) {
      return;
    }
    become(ControllerState.SHUTTING_DOWN, "");
    failing(
        () -> {
          awaitShutdown();
          become(ControllerState.DISABLING, "shut down");
          disable();
        });
  }

  private void awaitShutdown() {
    final int shutdown = ControllerRegisters.CC_SHN_MASK << ControllerRegisters.CC_SHN_SHIFT;
    access.configuration(
        (access.configuration() & ~shutdown)
            | (ControllerRegisters.CC_SHN_NORMAL << ControllerRegisters.CC_SHN_SHIFT));
    final long wantedNs = identity == null ? SHUTDOWN_NS_MAX : identity.shutdownMicros() * 1_000;
    final long limitNs = Math.min(SHUTDOWN_NS_MAX, Math.max(SHUTDOWN_NS_MIN, wantedNs));
    final long startNs = access.nanoTime();
    while (shutdownStatus() != ControllerRegisters.CSTS_SHST_COMPLETE) {
      if (access.nanoTime() - startNs > limitNs) {
        throw access.late(Trouble.CONTROLLER, "the controller does not shut down", limitNs);
      }
      access.pause();
    }
  }

  private int shutdownStatus() {
    return (access.healthyStatus() >>> ControllerRegisters.CSTS_SHST_SHIFT)
        & ControllerRegisters.CSTS_SHST_MASK;
  }

  /** Lets go of everything; DMA ends first, so a device that runs wild reaches nothing. */
  @Override
  public void close() {
    if (state == ControllerState.DETACHED) {
      return;
    }
    // All of them, whatever goes wrong with one: the IOMMU's mappings end with the port.
    final List<Runnable> steps =
        List.of(
            this::stopWithoutWait,
            port::stopDma,
            () -> port.dma().unmap(memoryIova, memory.lengthBytes()),
            port::close,
            memory::close);
    String failures = "";
    for (final Runnable step : steps) {
      try {
        step.run();
      } catch (final SysException e) {
        failures = e.getMessage();
      }
    }
    if (state == ControllerState.READY || state == ControllerState.ADOPTED) {
      become(ControllerState.DISABLING, "detached without shutdown");
    } else if (!state.mayBecome(ControllerState.DETACHED)) {
      become(ControllerState.FAILED, "detached on its way up");
    }
    become(ControllerState.DETACHED, failures);
  }

  private void stopWithoutWait() {
    if (isEnabled) {
      // What it still does ends with its DMA.
      access.raw().putInt(ControllerRegisters.CC_OFFSET, 0);
    }
  }

  /** Lets go of a controller that others go on to use; nothing may be called afterwards. */
  void leave() {
    if (state != ControllerState.DETACHED) {
      port.close();
      // The pages are locked as long as they are mapped for the device: it may still write there.
      memory.close();
    }
  }
}
