package io.virtnvme.ipc.nvme.client;

import io.virtnvme.ipc.disk.DiskFrontEnd;
import io.virtnvme.ipc.disk.DiskQueue;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.AdminOpcode;
import io.virtnvme.ipc.nvme.Cns;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.FeatureId;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.vfiouser.PciCommand;
import io.virtnvme.ipc.vfiouser.PciRegion;
import io.virtnvme.ipc.vfiouser.VfioUserClient;

/**
 * Drives one namespace of an NVMe controller over vfio-user: enables the controller, makes I/O
 * queues, and gives them to the caller to poll. vfio-user knows no second connection, so when the
 * server hangs up it is over; but a slave that dies is nothing that this client could notice.
 */
public final class NvmeClient implements DiskFrontEnd {
  /** Not 0, so that a controller which mixes up guest and host addresses is found out. */
  private static final long GUEST_BASE = 0x1_0000_0000L;

  private static final int PAGE_BYTES = 4096;
  private static final int ADMIN_ENTRY_COUNT = 32;
  private static final int CC_ENABLED =
      ControllerRegisters.CC_EN
          | 6 << ControllerRegisters.CC_IOSQES_SHIFT
          | 4 << ControllerRegisters.CC_IOCQES_SHIFT;
  private static final int QUEUE_CONTIGUOUS = 1;

  private final NvmeClientConfig config;
  private final VfioUserClient client;
  private final int memoryFd;
  private final Mapping memory;
  private final Mapping doorbellPage;
  private final DoorbellPort doorbells;
  private final QueuePair admin;
  private final NvmeQueue[] queues;
  private final long identifyOffset;
  private long nextOffset;
  private int lastCommandId;
  private long capacityBytes;
  private int blockShift;

  private NvmeClient(final NvmeClientConfig config, final VfioUserClient client) {
    this.config = config;
    this.client = client;
    client.negotiate();
    memoryFd =
        config.hugePages()
            ? Memfd.createHuge("nvme-client", config.memoryBytes())
            : Memfd.create("nvme-client", config.memoryBytes());
    memory = Mapping.mapPopulated(memoryFd, 0, config.memoryBytes());
    client.mapDma(memoryFd, 0, GUEST_BASE, config.memoryBytes());
    client.write(
        PciRegion.CONFIG,
        PciCommand.OFFSET,
        Short.BYTES,
        PciCommand.MEMORY_SPACE | PciCommand.BUS_MASTER);
    final VfioUserClient.Region bar0 = client.region(PciRegion.BAR0);
    doorbellPage =
        bar0.fd() >= 0 && bar0.areaLength() > 0 && config.mapDoorbells()
            ? Mapping.map(bar0.fd(), bar0.mapOffset(), bar0.areaLength())
            : null;
    Fds.close(bar0.fd());
    doorbells = new DoorbellPort(client, doorbellPage == null ? 0 : doorbellPage.address());
    identifyOffset = take(PAGE_BYTES);
    admin = enable();
    queues = new NvmeQueue[config.queueCount()];
  }

  /**
   * Connects, enables the controller and starts every queue.
   *
   * @throws io.virtnvme.ipc.vfiouser.VfioUserClientException when nobody listens, or a message is
   *     refused or not answered in time
   * @throws NvmeClientException when the controller does not become ready or refuses a command
   * @throws IllegalArgumentException for a configuration out of range
   */
  public static NvmeClient connect(final NvmeClientConfig config) {
    config.conclude();
    final VfioUserClient client = VfioUserClient.connect(config.socketPath(), config.timeoutMs());
    final NvmeClient made;
    try {
      made = new NvmeClient(config, client);
    } catch (final RuntimeException e) {
      client.close();
      throw e;
    }
    try {
      made.identify();
      made.makeQueues();
      return made;
    } catch (final RuntimeException e) {
      made.close();
      throw e;
    }
  }

  /** Offset of so many bytes of guest memory, beginning a page. */
  private long take(final long lengthBytes) {
    final long offset = nextOffset;
    nextOffset += (lengthBytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    if (nextOffset > config.memoryBytes()) {
      throw new IllegalArgumentException(
          "guest memory is too small: bytes=" + config.memoryBytes() + " needed=" + nextOffset);
    }
    return offset;
  }

  private QueuePair enable() {
    disable();
    final long submissions = take(ADMIN_ENTRY_COUNT * SubmissionEntry.ENTRY_LENGTH);
    final long completions = take(ADMIN_ENTRY_COUNT * CompletionEntry.ENTRY_LENGTH);
    client.write(
        PciRegion.BAR0,
        ControllerRegisters.AQA_OFFSET,
        Integer.BYTES,
        (ADMIN_ENTRY_COUNT - 1) << 16 | (ADMIN_ENTRY_COUNT - 1));
    client.write(
        PciRegion.BAR0, ControllerRegisters.ASQ_OFFSET, Long.BYTES, GUEST_BASE + submissions);
    client.write(
        PciRegion.BAR0, ControllerRegisters.ACQ_OFFSET, Long.BYTES, GUEST_BASE + completions);
    client.write(PciRegion.BAR0, ControllerRegisters.CC_OFFSET, Integer.BYTES, CC_ENABLED);
    awaitReady(ControllerRegisters.CSTS_RDY);
    return new QueuePair(
        doorbells,
        0,
        ADMIN_ENTRY_COUNT,
        memory.address() + submissions,
        memory.address() + completions);
  }

  private void disable() {
    client.write(PciRegion.BAR0, ControllerRegisters.CC_OFFSET, Integer.BYTES, 0);
    awaitReady(0);
  }

  private void awaitReady(final int ready) {
    final long deadlineNs = System.nanoTime() + config.timeoutMs() * 1_000_000L;
    while (true) {
      final int status = controllerStatus();
      if ((status & ControllerRegisters.CSTS_CFS) != 0) {
        throw new NvmeClientException("fatal status: CSTS=0x" + Integer.toHexString(status), 0);
      }
      if ((status & ControllerRegisters.CSTS_RDY) == ready) {
        return;
      }
      if (System.nanoTime() - deadlineNs >= 0) {
        throw new NvmeClientException(
            "CSTS.RDY is not "
                + ready
                + " after "
                + config.timeoutMs()
                + " ms: CSTS=0x"
                + Integer.toHexString(status),
            0);
      }
      Thread.onSpinWait();
    }
  }

  /** CSTS. */
  public int controllerStatus() {
    return (int) client.read(PciRegion.BAR0, ControllerRegisters.CSTS_OFFSET, Integer.BYTES);
  }

  /** The connection below, for messages that no driver sends. */
  public VfioUserClient transport() {
    return client;
  }

  private void identify() {
    final byte[] namespace = identify(Cns.NAMESPACE, config.namespaceId());
    final int format = namespace[26] & 0xF;
    blockShift = namespace[128 + 4 * format + 2] & 0xFF;
    final long blockCount = Mem.getLong(memory.address() + identifyOffset);
    if (blockShift < 9 || blockShift > 12 || blockCount <= 0) {
      throw new NvmeClientException(
          "namespace "
              + config.namespaceId()
              + " cannot be used: blocks="
              + blockCount
              + " block shift="
              + blockShift,
          0);
    }
    capacityBytes = blockCount << blockShift;
  }

  /** The 4096 bytes that Identify answers. */
  public byte[] identify(final int cns, final int namespaceId) {
    Mem.fill(memory.address() + identifyOffset, PAGE_BYTES, (byte) 0);
    command(AdminOpcode.IDENTIFY, namespaceId, GUEST_BASE + identifyOffset, cns, 0);
    final byte[] answer = new byte[PAGE_BYTES];
    Mem.copyOut(memory.address() + identifyOffset, answer, 0, PAGE_BYTES);
    return answer;
  }

  private void makeQueues() {
    final int wanted = config.queueCount() - 1;
    final int granted =
        command(AdminOpcode.SET_FEATURES, 0, 0, FeatureId.NUMBER_OF_QUEUES, wanted << 16 | wanted);
    if ((granted & 0xFFFF) < wanted || (granted >>> 16) < wanted) {
      throw new NvmeClientException(
          "too few queues: wanted="
              + config.queueCount()
              + " submission="
              + ((granted & 0xFFFF) + 1)
              + " completion="
              + ((granted >>> 16) + 1),
          0);
    }
    final long capabilities = client.read(PciRegion.BAR0, 0, Long.BYTES);
    final int entryCountMax = (int) (capabilities & ControllerRegisters.CAP_MQES_MASK) + 1;
    for (int i = 0; i < queues.length; i++) {
      queues[i] = makeQueue(i + 1, Math.min(config.queueSize() + 1, entryCountMax));
    }
  }

  private NvmeQueue makeQueue(final int queueId, final int entryCount) {
    final long submissions = take((long) entryCount * SubmissionEntry.ENTRY_LENGTH);
    final long completions = take((long) entryCount * CompletionEntry.ENTRY_LENGTH);
    final long prpLists = take((long) config.queueSize() * PAGE_BYTES);
    final int size = (entryCount - 1) << 16 | queueId;
    // Polled: no interrupts.
    command(AdminOpcode.CREATE_CQ, 0, GUEST_BASE + completions, size, QUEUE_CONTIGUOUS);
    command(
        AdminOpcode.CREATE_SQ, 0, GUEST_BASE + submissions, size, queueId << 16 | QUEUE_CONTIGUOUS);
    final QueuePair pair =
        new QueuePair(
            doorbells,
            queueId,
            entryCount,
            memory.address() + submissions,
            memory.address() + completions);
    return new NvmeQueue(
        pair,
        config.queueSize(),
        config.namespaceId(),
        blockShift,
        memory.address() + prpLists,
        GUEST_BASE + prpLists);
  }

  /**
   * Carries out an admin command and waits for it.
   *
   * @return dword 0 of the completion
   * @throws NvmeClientException when it fails, or does not end in time
   */
  public int command(
      final int opcode,
      final int namespaceId,
      final long prp1,
      final int dword10,
      final int dword11) {
    lastCommandId = (lastCommandId + 1) & 0x7FFF;
    final long entry = admin.next();
    Mem.putInt(entry, SubmissionEntry.dword0(opcode, lastCommandId));
    Mem.putInt(entry + SubmissionEntry.NAMESPACE_ID_OFFSET, namespaceId);
    Mem.putLong(entry + SubmissionEntry.PRP1_OFFSET, prp1);
    Mem.putInt(entry + SubmissionEntry.DWORD10_OFFSET, dword10);
    Mem.putInt(entry + SubmissionEntry.DWORD11_OFFSET, dword11);
    admin.push();
    admin.ring();
    final long completion = awaitAdmin(opcode);
    final int dword3 = Mem.getInt(completion + CompletionEntry.DWORD3_OFFSET);
    final int result = Mem.getInt(completion + CompletionEntry.RESULT_OFFSET);
    admin.pop();
    admin.release(1);
    if (CompletionEntry.commandId(dword3) != lastCommandId) {
      throw new NvmeClientException(
          "completion of command "
              + CompletionEntry.commandId(dword3)
              + " instead of "
              + lastCommandId,
          0);
    }
    final int status = CompletionEntry.status(dword3);
    if (Status.typeAndCode(status) != Status.SUCCESS) {
      throw new NvmeClientException(
          "admin command 0x"
              + Integer.toHexString(opcode)
              + " failed: status=0x"
              + Integer.toHexString(status),
          status);
    }
    return result;
  }

  private long awaitAdmin(final int opcode) {
    final long deadlineNs = System.nanoTime() + config.timeoutMs() * 1_000_000L;
    long completion = admin.peek();
    while (completion == 0) {
      if (System.nanoTime() - deadlineNs >= 0) {
        throw new NvmeClientException(
            "admin command 0x"
                + Integer.toHexString(opcode)
                + " did not end in "
                + config.timeoutMs()
                + " ms",
            0);
      }
      Thread.onSpinWait();
      completion = admin.peek();
    }
    return completion;
  }

  @Override
  public DiskQueue queue(final int index) {
    return queues[index];
  }

  /** Doorbells are rung by {@link DiskQueue#publish}. */
  @Override
  public void kick(final int index) {}

  @Override
  public long capacityBytes() {
    return capacityBytes;
  }

  @Override
  public long dataGuestAddress() {
    return GUEST_BASE + nextOffset;
  }

  @Override
  public long dataBytes() {
    return config.memoryBytes() - nextOffset;
  }

  @Override
  public long toHost(final long guestAddress) {
    return guestAddress - GUEST_BASE + memory.address();
  }

  @Override
  public boolean isConnected() {
    return client.isConnected();
  }

  @Override
  public boolean tryReconnect() {
    throw new IllegalStateException("the server hung up, and vfio-user knows no second connection");
  }

  @Override
  public int peerPid() {
    return client.peerPid();
  }

  @Override
  public void close() {
    client.close();
    if (doorbellPage != null) {
      doorbellPage.close();
    }
    memory.close();
    Fds.close(memoryFd);
  }
}
