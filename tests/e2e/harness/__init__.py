"""What the end-to-end tests share: the server as a process, clients for its two faces, and stock tools."""
