/**
 * The vhost-user protocol on the wire: codes, flags and layouts of its messages, for back-end and
 * front-end. Layouts are stateless and may be used by any thread.
 */
package io.virtnvme.ipc.vhostuser;
