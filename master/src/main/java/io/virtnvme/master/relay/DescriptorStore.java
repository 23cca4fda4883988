package io.virtnvme.master.relay;

/** Keeps descriptors beyond the life of this process. Conductor thread. */
public interface DescriptorStore {
  /** Keeps nothing. */
  DescriptorStore NONE =
      new DescriptorStore() {
        @Override
        public int take(final String name) {
          return -1;
        }

        @Override
        public void put(final String name, final int fd) {}

        @Override
        public void remove(final String name) {}
      };

  /**
   * What was kept under a name by the process before; -1 when there is nothing. The caller owns it.
   */
  int take(String name);

  /** Keeps a duplicate under a name, in place of what was kept there. */
  void put(String name, int fd);

  /** Keeps it no longer. */
  void remove(String name);
}
