package io.virtnvme.master.nvme;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.Cns;
import io.virtnvme.ipc.nvme.IdentifyNamespace;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.sys.Errno;
import java.util.ArrayList;
import java.util.List;

/**
 * The questions that a controller is asked when it has come up, with a limit for all of them
 * together: a controller that answers each one slowly does not get more time for having many
 * namespaces. The device's thread.
 */
final class IdentifyPhase {
  /** All questions may take as long as so many commands at their limit. */
  private static final int COMMANDS_AT_LIMIT = 3;

  private static final int NAMESPACE_LIST_LENGTH = 1024;

  /** A namespace more than these is left out: it is a mistake, or not ours to serve. */
  private static final int NAMESPACE_COUNT_MAX = 256;

  /** The ids above are no namespace's (base specification 2.0, 3.2.1.2). */
  private static final int NAMESPACE_ID_MAX = 0xFFFF_FFFD;

  private static final int QUEUE_COUNT_MASK = 0xFFFF;

  private final RegisterAccess access;
  private final AdminQueue admin;
  private final long commandNsMax;
  private final long startNs;

  /**
   * Begins now.
   *
   * @param commandNsMax limit of one admin command
   */
  IdentifyPhase(final RegisterAccess access, final AdminQueue admin, final long commandNsMax) {
    this.access = access;
    this.admin = admin;
    this.commandNsMax = commandNsMax;
    startNs = access.nanoTime();
  }

  ControllerIdentity controller() {
    return ControllerIdentity.parse(ask(Cns.CONTROLLER, 0));
  }

  /** Active namespaces by ascending id, as an unsigned number; also those that cannot be used. */
  List<NamespaceIdentity> namespaces(final int namespaceIdMax) {
    final List<NamespaceIdentity> active = new ArrayList<>();
    for (final int id : activeIds(namespaceIdMax)) {
      active.add(namespace(id));
    }
    return List.copyOf(active);
  }

  /** Asks for so many I/O queue pairs; how many of them it grants, at least 1. */
  int grantedQueues(final int wanted) {
    final int granted = admin.execute(AdminCommand.numberOfQueues(wanted), commandNs());
    return Math.min(
        wanted,
        1 + Math.min(granted & QUEUE_COUNT_MASK, (granted >>> Short.SIZE) & QUEUE_COUNT_MASK));
  }

  private byte[] ask(final int cns, final int namespaceId) {
    admin.execute(AdminCommand.identify(cns, namespaceId, admin.dataIova()), commandNs());
    return admin.data();
  }

  private long commandNs() {
    final long limitNs = COMMANDS_AT_LIMIT * commandNsMax;
    final long leftNs = limitNs - (access.nanoTime() - startNs);
    if (leftNs <= 0) {
      throw access.late(Trouble.ADMIN, "it still answers what it is", limitNs);
    }
    return Math.min(commandNsMax, leftNs);
  }

  private NamespaceIdentity namespace(final int id) {
    try {
      return NamespaceIdentity.parse(id, ask(Cns.NAMESPACE, id));
    } catch (final NvmeDeviceException e) {
      return NamespaceIdentity.unusable(id, refusal(e).getMessage());
    }
  }

  /** The same, when the controller only refused the command; else it is thrown. */
  private static NvmeDeviceException refusal(final NvmeDeviceException failure) {
    if (failure.status() == 0) {
      throw failure;
    }
    return failure;
  }

  private List<Integer> activeIds(final int namespaceIdMax) {
    final byte[] list;
    try {
      list = ask(Cns.ACTIVE_NAMESPACE_LIST, 0);
    } catch (final NvmeDeviceException e) {
      if (Status.typeAndCode(refusal(e).status()) != Status.INVALID_FIELD) {
        throw e;
      }
      // Before version 1.1 there was no list.
      return firstIds(namespaceIdMax);
    }
    final List<Integer> ids = new ArrayList<>();
    int last = 0;
    for (int i = 0; i < NAMESPACE_LIST_LENGTH && ids.size() < NAMESPACE_COUNT_MAX; i++) {
      final int id = LittleEndian.getInt(list, i * Integer.BYTES);
      if (id == 0) {
        break;
      }
      if (Integer.compareUnsigned(id, last) <= 0
          || Integer.compareUnsigned(id, NAMESPACE_ID_MAX) > 0
          || Integer.compareUnsigned(id, namespaceIdMax) > 0) {
        throw new NvmeDeviceException(
            Errno.EIO,
            "its list of namespaces is damaged: id="
                + Integer.toUnsignedString(id)
                + " after="
                + Integer.toUnsignedString(last)
                + " NN="
                + Integer.toUnsignedString(namespaceIdMax));
      }
      ids.add(id);
      last = id;
    }
    return ids;
  }

  /** Any id up to NN may be active; one that is not answers with zeroes, or with an error. */
  private List<Integer> firstIds(final int namespaceIdMax) {
    final List<Integer> ids = new ArrayList<>();
    for (int id = 1;
        Integer.compareUnsigned(id, namespaceIdMax) <= 0 && id <= NAMESPACE_COUNT_MAX;
        id++) {
      try {
        if (LittleEndian.getLong(ask(Cns.NAMESPACE, id), IdentifyNamespace.SIZE_OFFSET) != 0) {
          ids.add(id);
        }
      } catch (final NvmeDeviceException e) {
        refusal(e);
      }
    }
    return ids;
  }
}
