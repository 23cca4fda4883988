package io.virtnvme.ipc.nvme.soft;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.AdminOpcode;
import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.device.DeviceRegisters;
import io.virtnvme.ipc.nvme.device.DmaSpace;
import java.util.ArrayList;
import java.util.List;

/**
 * An NVMe controller with one namespace. {@link #step} lets it see doorbells, read commands and end
 * them; a store to a register steps it too. Doorbells are words in memory ({@link #sqTailAddress}),
 * so a driver may ring them as it would ring a mapped BAR. Any thread; each call is a whole.
 */
public final class SoftNvmeDevice implements DeviceRegisters, DmaSpace, AutoCloseable {
  static final int VERSION = ControllerRegisters.version(1, 4, 0);

  private static final int ALL_ONES = -1;
  private static final int TIMEOUT_UNITS = 4;

  private final SoftOptions options;
  private final SoftFaults faults = new SoftFaults();
  private final SoftDma dma = new SoftDma();
  private final SoftQueues queues;
  private final SoftAdmin admin;
  private final SoftNamespace namespace;
  private final List<SoftCommand> held = new ArrayList<>();
  private final List<SoftCommand> executed = new ArrayList<>();
  private final List<SoftCommand> lost = new ArrayList<>();
  private final long doorbells;
  private int cc;
  private int csts;
  private int aqa;
  private long asq;
  private long acq;
  private int stepsToReady;
  private long capabilities;
  private int readyTimeouts;
  private boolean isUnplugged;
  private boolean isClosed;

  public SoftNvmeDevice(final SoftOptions options) {
    this.options = options;
    this.capabilities =
        (options.entryCountMax() - 1)
            | ControllerRegisters.CAP_CQR
            | ((long) TIMEOUT_UNITS << ControllerRegisters.CAP_TO_SHIFT)
            | ((long) options.strideShift() << ControllerRegisters.CAP_DSTRD_SHIFT)
            | ControllerRegisters.CAP_CSS_NVM;
    this.queues = new SoftQueues(dma, options.queuePairMax());
    this.admin = new SoftAdmin(options, dma, queues, this::abort);
    this.namespace =
        new SoftNamespace(
            dma, options.blockBytes(), options.blockCount(), options.transferBytesMax());
    this.doorbells = Mem.allocate(doorbellBytes());
  }

  private long doorbellBytes() {
    return (long) Doorbells.lengthBytes(options.queuePairMax()) << options.strideShift();
  }

  /** What is to go wrong. */
  public SoftFaults faults() {
    return faults;
  }

  /** The medium; a test looks and writes. */
  public byte[] blocks() {
    return namespace.blocks();
  }

  /** The SMART log of 512 bytes; a test changes it. */
  public byte[] smart() {
    return admin.smart();
  }

  /** Has a log page of a vendor, which is read from any offset. */
  public synchronized void vendorLog(final int id, final byte[] page) {
    admin.vendorLog(id, page);
  }

  /** What Identify answers for the controller, 4096 bytes; a test changes it. */
  public byte[] controllerData() {
    return admin.controller();
  }

  /** What Identify answers for the namespace, 4096 bytes; a test changes it. */
  public byte[] namespaceData() {
    return admin.namespace();
  }

  /** What Identify answers for the list of active namespaces, 4096 bytes; a test changes it. */
  public byte[] namespaceList() {
    return admin.namespaceList();
  }

  /** As before version 1.1: no list of namespaces. */
  public void forgetNamespaceList() {
    admin.forgetNamespaceList();
  }

  /** What Number of Queues answers: completion queues in the upper half, each less 1. */
  public void grantedQueues(final int dword0) {
    admin.grantedQueues(dword0);
  }

  /** CAP from now on. */
  public synchronized void capabilities(final long value) {
    capabilities = value;
  }

  /** CRTO from now on. */
  public synchronized void readyTimeouts(final int value) {
    readyTimeouts = value;
  }

  /** Address of the word that is the tail doorbell of a submission queue. */
  public long sqTailAddress(final int queueId) {
    return doorbells + ((long) Doorbells.sqTailOffset(queueId) << options.strideShift());
  }

  /** Address of the word that is the head doorbell of a completion queue. */
  public long cqHeadAddress(final int queueId) {
    return doorbells + ((long) Doorbells.cqHeadOffset(queueId) << options.strideShift());
  }

  @Override
  public synchronized void map(final long address, final long iova, final long lengthBytes) {
    dma.map(address, iova, lengthBytes);
  }

  @Override
  public synchronized void unmap(final long iova, final long lengthBytes) {
    dma.unmap(iova, lengthBytes);
  }

  /** Ranges that are mapped now. */
  public int mappedCount() {
    return dma.rangeCount();
  }

  /** Accesses of the device to what is not mapped. */
  public long dmaFaultCount() {
    return dma.faultCount();
  }

  /** Doorbell values that make no sense. */
  public synchronized long badDoorbellCount() {
    return queues.badDoorbellCount();
  }

  /** Creates an I/O queue pair, as the admin commands would; for tests without an admin queue. */
  public synchronized void createQueuePair(
      final int queueId, final long sqIova, final long cqIova, final int entryCount) {
    clearDoorbells(queueId);
    queues.createCq(queueId, cqIova, entryCount);
    queues.createSq(queueId, sqIova, entryCount, queueId);
    csts |= ControllerRegisters.CSTS_RDY;
  }

  private void clearDoorbells(final int queueId) {
    Mem.putInt(sqTailAddress(queueId), 0);
    Mem.putInt(cqHeadAddress(queueId), 0);
  }

  /** Forgets queues and commands, as a reset does; the medium stays. */
  public synchronized void reset() {
    queues.clear();
    held.clear();
    lost.clear();
    csts = 0;
    Mem.fill(doorbells, doorbellBytes(), (byte) 0);
  }

  /** CSTS.CFS: nothing is read or completed until a reset. */
  public synchronized void failFatally() {
    csts |= ControllerRegisters.CSTS_CFS;
  }

  /** From now on it reads as all ones, and touches nothing. */
  public synchronized void unplug() {
    isUnplugged = true;
  }

  /** The link is up again: it is as after power-on. */
  public synchronized void plug() {
    isUnplugged = false;
    cc = 0;
    aqa = 0;
    asq = 0;
    acq = 0;
    reset();
  }

  @Override
  public synchronized int getInt(final int offset) {
    faults.onRegisterAccess();
    step();
    if (isUnplugged) {
      return ALL_ONES;
    }
    return switch (offset) {
      case ControllerRegisters.CAP_OFFSET -> (int) capabilities;
      case ControllerRegisters.CAP_OFFSET + Integer.BYTES -> (int) (capabilities >>> Integer.SIZE);
      case ControllerRegisters.VS_OFFSET -> VERSION;
      case ControllerRegisters.CC_OFFSET -> cc;
      case ControllerRegisters.CSTS_OFFSET -> csts;
      case ControllerRegisters.AQA_OFFSET -> aqa;
      case ControllerRegisters.CRTO_OFFSET -> readyTimeouts;
      default -> 0;
    };
  }

  @Override
  public synchronized long getLong(final int offset) {
    faults.onRegisterAccess();
    step();
    if (isUnplugged) {
      return ALL_ONES;
    }
    return switch (offset) {
      case ControllerRegisters.CAP_OFFSET -> capabilities;
      case ControllerRegisters.ASQ_OFFSET -> asq;
      case ControllerRegisters.ACQ_OFFSET -> acq;
      default -> getInt(offset) & 0xFFFF_FFFFL;
    };
  }

  @Override
  public synchronized void putInt(final int offset, final int value) {
    faults.onRegisterAccess();
    if (isUnplugged) {
      return;
    }
    switch (offset) {
      case ControllerRegisters.CC_OFFSET -> configure(value);
      case ControllerRegisters.AQA_OFFSET -> aqa = value;
      case ControllerRegisters.ASQ_OFFSET -> asq = withLow(asq, value);
      case ControllerRegisters.ASQ_OFFSET + Integer.BYTES -> asq = withHigh(asq, value);
      case ControllerRegisters.ACQ_OFFSET -> acq = withLow(acq, value);
      case ControllerRegisters.ACQ_OFFSET + Integer.BYTES -> acq = withHigh(acq, value);
      default -> {
        final long doorbell = offset - (long) Doorbells.BASE_OFFSET;
        if (doorbell >= 0 && doorbell < doorbellBytes()) {
          Mem.putInt(doorbells + doorbell, value);
        }
      }
    }
    step();
  }

  @Override
  public synchronized void putLong(final int offset, final long value) {
    putInt(offset, (int) value);
    putInt(offset + Integer.BYTES, (int) (value >>> Integer.SIZE));
  }

  private static long withLow(final long register, final int value) {
    return (register & ~0xFFFF_FFFFL) | (value & 0xFFFF_FFFFL);
  }

  private static long withHigh(final long register, final int value) {
    return (register & 0xFFFF_FFFFL) | ((long) value << Integer.SIZE);
  }

  private void configure(final int value) {
    final boolean wasEnabled = (cc & ControllerRegisters.CC_EN) != 0;
    final boolean isEnabled = (value & ControllerRegisters.CC_EN) != 0;
    cc = value;
    if (wasEnabled && !isEnabled) {
      final int kept = faults.isStayingReady() ? ControllerRegisters.CSTS_RDY : 0;
      reset();
      csts |= kept;
    } else if (isEnabled && !wasEnabled) {
      stepsToReady = options.readySteps();
    }
    final int shutdown =
        (value >>> ControllerRegisters.CC_SHN_SHIFT) & ControllerRegisters.CC_SHN_MASK;
    if (shutdown != 0 && !faults.isDeafToShutdown()) {
      csts &= ~(ControllerRegisters.CSTS_SHST_MASK << ControllerRegisters.CSTS_SHST_SHIFT);
      csts |= ControllerRegisters.CSTS_SHST_COMPLETE << ControllerRegisters.CSTS_SHST_SHIFT;
    }
  }

  /** Lets it work: see doorbells, read commands, end all but those that are held or lost. */
  public synchronized void step() {
    if (isUnplugged || isClosed || (csts & ControllerRegisters.CSTS_CFS) != 0) {
      return;
    }
    becomeReady();
    if ((csts & ControllerRegisters.CSTS_RDY) == 0) {
      return;
    }
    for (int id = 0; id <= queues.idMax(); id++) {
      if (queues.hasSq(id)) {
        queues.onSqTail(id, Mem.getIntAcquire(sqTailAddress(id)));
      }
      if (queues.hasCq(id)) {
        queues.onCqHead(id, Mem.getIntAcquire(cqHeadAddress(id)));
      }
    }
    for (int id = 0; id <= queues.idMax(); id++) {
      SoftCommand command = queues.fetch(id);
      while (command != null) {
        take(command);
        command = queues.fetch(id);
      }
    }
    held.removeIf(command -> !queues.hasSq(command.sqId()));
    while (!faults.isHolding() && !held.isEmpty() && end(held.get(0))) {
      held.remove(0);
    }
  }

  private void becomeReady() {
    final boolean isReady = (csts & ControllerRegisters.CSTS_RDY) != 0;
    if ((cc & ControllerRegisters.CC_EN) == 0 || isReady || stepsToReady < 0) {
      return;
    }
    if (stepsToReady-- > 0) {
      return;
    }
    queues.createCq(
        0,
        acq,
        ((aqa >>> ControllerRegisters.AQA_ACQS_SHIFT) & ControllerRegisters.AQA_ACQS_MASK) + 1);
    queues.createSq(0, asq, (aqa & ControllerRegisters.AQA_ASQS_MASK) + 1, 0);
    csts |= ControllerRegisters.CSTS_RDY;
  }

  private void take(final SoftCommand command) {
    if (command.sqId() != 0) {
      if (faults.takeLost()) {
        lost.add(command);
      } else {
        held.add(command);
      }
      return;
    }
    if (command.opcode() == AdminOpcode.ASYNC_EVENT_REQUEST) {
      return;
    }
    if (faults.takeLostAdmin(command.opcode())) {
      lost.add(command);
      return;
    }
    final int injected = faults.takeStatus(command);
    final int status = injected != Status.SUCCESS ? injected : admin.execute(command);
    if (status == Status.SUCCESS
        && (command.opcode() == AdminOpcode.CREATE_SQ
            || command.opcode() == AdminOpcode.CREATE_CQ)) {
      clearDoorbell(command);
    }
    post(0, command.commandId(), status, admin.result());
    if (faults.takeDoubledAdmin()) {
      post(0, command.commandId(), status, admin.result());
    }
  }

  private void clearDoorbell(final SoftCommand create) {
    final int id = create.dword10() & 0xFFFF;
    Mem.putInt(create.opcode() == AdminOpcode.CREATE_SQ ? sqTailAddress(id) : cqHeadAddress(id), 0);
  }

  /** Carries out and completes; false when the completion queue is full, and nothing was done. */
  private boolean end(final SoftCommand command) {
    if (queues.isFull(command.sqId())) {
      return false;
    }
    final int injected = faults.takeStatus(command);
    final int status = injected != Status.SUCCESS ? injected : namespace.execute(command);
    if (injected == Status.SUCCESS) {
      executed.add(command);
    }
    post(command.sqId(), command.commandId(), status, 0);
    if (faults.takeDoubled()) {
      post(command.sqId(), command.commandId(), status, 0);
    }
    return true;
  }

  private void post(final int sqId, final int commandId, final int status, final int result) {
    queues.post(sqId, commandId, status, result, faults.takeWrongPhase());
  }

  private boolean abort(final int dword10) {
    if (faults.isRefusingAborts()) {
      return false;
    }
    final int sqId = dword10 & 0xFFFF;
    final int commandId = dword10 >>> 16;
    for (final List<SoftCommand> list : List.of(held, lost)) {
      for (int i = 0; i < list.size(); i++) {
        if (list.get(i).sqId() == sqId && list.get(i).commandId() == commandId) {
          list.remove(i);
          queues.post(sqId, commandId, Status.ABORTED_BY_REQUEST, 0);
          return true;
        }
      }
    }
    return false;
  }

  /** I/O commands that were read and are neither completed nor lost. */
  public synchronized int heldCount() {
    return held.size();
  }

  /** One of them, in the order of reading. */
  public synchronized SoftCommand heldCommand(final int index) {
    return held.get(index);
  }

  /** Ends one of the held commands now, out of turn. */
  public synchronized void endHeld(final int index) {
    if (end(held.get(index))) {
      held.remove(index);
    }
  }

  /** Completes a command that may not exist. */
  public synchronized void completeUnknown(final int sqId, final int commandId, final int status) {
    queues.post(sqId, commandId, status, 0);
  }

  /** I/O commands that were carried out, in that order. */
  public synchronized List<SoftCommand> executed() {
    return List.copyOf(executed);
  }

  /** After it no thread may step it. */
  @Override
  public synchronized void close() {
    if (!isClosed) {
      isClosed = true;
      Mem.free(doorbells);
    }
  }
}
